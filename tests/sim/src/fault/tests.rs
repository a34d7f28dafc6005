use super::*;
use crate::dice::Dice;

#[test]
fn a_plan_is_one_line_and_comes_back_from_it() {
    let extent = Extent {
        writes: 60,
        events: 200,
        lasted: Duration::from_secs(40),
        replicas: 2,
    };
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 0..500 {
        let plan = draw(&mut Dice::new(seed, "faults"), extent);
        let text = plan.to_string();
        assert!(!text.contains('\n'), "{text}");
        assert_eq!(text.parse::<FaultPlan>().unwrap(), plan, "{text}");
        for fault in plan.faults {
            assert!(fault.what.fits(fault.at), "{fault}");
            let text = fault.to_string();
            let word = text.split(' ').find(|word| {
                !matches!(*word, "write" | "event" | "time" | "replica")
                    && !word.starts_with(|first: char| first.is_ascii_digit())
            });
            kinds.insert(word.unwrap().to_owned());
        }
    }
    let all = "answer clock close compact crash crash-after cut delay freeze gone hold lag outage partition repeat \
               silence slow stop";
    assert_eq!(kinds.into_iter().collect::<Vec<_>>().join(" "), all);
}

#[test]
fn what_is_no_plan_is_told_by_its_part() {
    for (text, rule) in [
        ("write seven crash", "\"seven\" is no number of a write"),
        ("write 7", "the fault is missing at the end"),
        ("write 7 gone", "it cannot strike there"),
        ("write 7 crash now", "\"now\" is too much"),
        ("time 3s crash", "replica"),
        ("heal soon", "\"soon\" is no duration"),
    ] {
        let error = text.parse::<FaultPlan>().unwrap_err().to_string();
        assert!(error.contains(rule) && error.contains(text), "{error}");
    }
}

#[test]
fn a_plan_reads_as_it_is_meant() {
    let plan: FaultPlan =
        "write 7 crash; event 12 gone; time 3.5s replica 1 freeze 20s late; heal 2m"
            .parse()
            .unwrap();
    assert_eq!(
        plan.to_string(),
        "write 7 crash; event 12 gone; time 3s500ms replica 1 freeze 20s late; heal 2m"
    );
}
