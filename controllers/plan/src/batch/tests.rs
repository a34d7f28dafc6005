use super::slow_start;

#[track_caller]
fn check(total: usize, sizes: &[usize]) {
    assert_eq!(slow_start(total).collect::<Vec<_>>(), sizes);
}

#[test]
fn batches_double_and_add_up() {
    check(0, &[]);
    check(1, &[1]);
    check(2, &[1, 1]);
    check(3, &[1, 2]);
    check(4, &[1, 2, 1]);
    check(7, &[1, 2, 4]);
    check(10, &[1, 2, 4, 3]);
    check(500, &[1, 2, 4, 8, 16, 32, 64, 128, 245]);
}

#[test]
fn every_total_is_reached_exactly() {
    for total in 0..=super::BURST {
        assert_eq!(slow_start(total).sum::<usize>(), total);
    }
    assert_eq!(
        slow_start(usize::MAX).fold(0_usize, usize::wrapping_add),
        usize::MAX
    );
}
