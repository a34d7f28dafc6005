//! DNS of a resolver's configuration file, as resolv.conf(5) describes it.

use crate::result::Dns;

/// Reads the directives that an answer of a plugin can hold; others, comments and empty lines are left out.
pub fn parse(text: &str) -> Dns {
    let mut dns = Dns::default();
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        let mut words = line.split_whitespace();
        let (directive, Some(first)) = (words.next(), words.next()) else {
            continue;
        };
        let all = || std::iter::once(first).chain(words).map(str::to_owned);
        match directive {
            Some("nameserver") => dns.nameservers.push(first.to_owned()),
            Some("domain") => first.clone_into(&mut dns.domain),
            Some("search") => dns.search.extend(all()),
            Some("options") => dns.options.extend(all()),
            _ => {}
        }
    }
    dns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_and_the_rest_is_left_out() {
        let text = "# made by hand\nnameserver 10.0.0.10\n nameserver fd00::10 # second\n; x\n\n\
                    domain example.com\nsearch a.example.com b.example.com\noptions ndots:5 rotate\nsortlist 1\nsearch\n";
        assert_eq!(
            parse(text),
            Dns {
                nameservers: vec!["10.0.0.10".to_owned(), "fd00::10".to_owned()],
                domain: "example.com".to_owned(),
                search: vec!["a.example.com".to_owned(), "b.example.com".to_owned()],
                options: vec!["ndots:5".to_owned(), "rotate".to_owned()],
            }
        );
    }
}
