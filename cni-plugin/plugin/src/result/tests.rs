use super::*;

fn attachment() -> Attachment {
    let interface = |name: &str, sandbox: &str| Interface {
        name: name.to_owned(),
        mac: "0a:58:0a:01:02:03".to_owned(),
        mtu: 1500,
        sandbox: sandbox.to_owned(),
        ..Interface::default()
    };
    let address = |address: &str, gateway: &str| Address {
        interface: Some(1),
        address: address.parse().unwrap(),
        gateway: Some(gateway.parse().unwrap()),
    };
    let route = Route {
        mtu: 1400,
        ..Route::new("10.0.0.0/8".parse().unwrap(), None)
    };
    Attachment {
        interfaces: vec![interface("cni0", ""), interface("eth0", "/run/netns/a")],
        ips: vec![
            address("10.1.2.3/24", "10.1.2.1"),
            address("10.1.3.3/24", "10.1.3.1"),
            address("2001:db8::3/64", "2001:db8::1"),
        ],
        routes: vec![
            route,
            Route::new(
                "::/0".parse().unwrap(),
                Some("2001:db8::9".parse().unwrap()),
            ),
        ],
        dns: Dns {
            nameservers: vec!["10.1.2.1".to_owned()],
            ..Dns::default()
        },
    }
}

#[test]
fn the_newest_form_says_everything() {
    assert_eq!(
        attachment().to_json(SpecVersion::V1_1_0).unwrap(),
        json!({
            "cniVersion": "1.1.0",
            "interfaces": [
                { "name": "cni0", "mac": "0a:58:0a:01:02:03", "mtu": 1500 },
                { "name": "eth0", "mac": "0a:58:0a:01:02:03", "mtu": 1500, "sandbox": "/run/netns/a" },
            ],
            "ips": [
                { "interface": 1, "address": "10.1.2.3/24", "gateway": "10.1.2.1" },
                { "interface": 1, "address": "10.1.3.3/24", "gateway": "10.1.3.1" },
                { "interface": 1, "address": "2001:db8::3/64", "gateway": "2001:db8::1" },
            ],
            "routes": [
                { "dst": "10.0.0.0/8", "mtu": 1400 },
                { "dst": "::/0", "gw": "2001:db8::9" },
            ],
            "dns": { "nameservers": ["10.1.2.1"] },
        })
    );
}

#[test]
fn before_one_an_address_says_its_family_and_an_interface_says_less() {
    let answer = attachment().to_json(SpecVersion::V0_3_1).unwrap();
    assert_eq!(answer["cniVersion"], "0.3.1");
    assert_eq!(
        answer["interfaces"][0],
        json!({ "name": "cni0", "mac": "0a:58:0a:01:02:03" })
    );
    assert_eq!(answer["ips"][0]["version"], "4");
    assert_eq!(answer["ips"][2]["version"], "6");
    let nothing = Attachment::default().to_json(SpecVersion::V0_4_0).unwrap();
    assert_eq!(nothing, json!({ "cniVersion": "0.4.0", "dns": {} }));
}

#[test]
fn the_oldest_form_has_the_first_address_of_each_family_and_its_routes() {
    assert_eq!(
        attachment().to_json(SpecVersion::V0_1_0).unwrap(),
        json!({
            "cniVersion": "0.1.0",
            "ip4": { "ip": "10.1.2.3/24", "gateway": "10.1.2.1", "routes": [{ "dst": "10.0.0.0/8" }] },
            "ip6": {
                "ip": "2001:db8::3/64", "gateway": "2001:db8::1",
                "routes": [{ "dst": "::/0", "gw": "2001:db8::9" }],
            },
            "dns": { "nameservers": ["10.1.2.1"] },
        })
    );
    let error = Attachment::default().to_json(SpecVersion::V0_2_0);
    assert!(error.unwrap_err().message.contains("no address"));
}

#[test]
fn what_is_written_since_one_is_read_back_as_it_was() {
    for version in [SpecVersion::V1_0_0, SpecVersion::V1_1_0] {
        let answer = attachment().to_json(version).unwrap();
        let read = Attachment::from_json("prevResult", answer, version).unwrap();
        assert_eq!(read, attachment());
    }
}

#[test]
fn an_older_answer_is_read_without_what_it_cannot_say() {
    let answer = attachment().to_json(SpecVersion::V0_4_0).unwrap();
    let read = Attachment::from_json("prevResult", answer, SpecVersion::V0_4_0).unwrap();
    assert_eq!(read.ips, attachment().ips);
    assert_eq!(read.interfaces[0].mtu, 0);

    let answer = attachment().to_json(SpecVersion::V0_2_0).unwrap();
    let read = Attachment::from_json("prevResult", answer, SpecVersion::V0_2_0).unwrap();
    assert_eq!(read.ips.len(), 2);
    assert_eq!(read.ips[1].address, "2001:db8::3/64".parse().unwrap());
    assert_eq!(read.routes.len(), 2);
}

#[test]
fn a_bad_answer_is_told_by_field_and_value() {
    let told = |answer| {
        let read = Attachment::from_json("prevResult", answer, SpecVersion::V1_1_0);
        read.unwrap_err().message
    };
    assert_eq!(
        told(json!({ "ips": [{ "address": "10.1.2" }] })),
        "prevResult.ips[0].address: \"10.1.2\" is no network like 10.1.2.3/24 or fd00::3/64"
    );
    assert_eq!(
        told(
            json!({ "ips": [{ "address": "10.1.2.3/24", "interface": 1 }], "interfaces": [{ "name": "a" }] })
        ),
        "prevResult.ips[0].interface is 1, of 1 interfaces"
    );
    assert_eq!(
        told(json!({ "routes": [{ "dst": "0.0.0.0/0", "gw": "x" }] })),
        "prevResult.routes[0].gw: \"x\" is no address like 10.1.2.3 or fd00::3"
    );
}

#[test]
fn a_list_that_is_null_is_empty() {
    let answer = json!({ "interfaces": null, "ips": null, "routes": null, "dns": null });
    let read = Attachment::from_json("prevResult", answer, SpecVersion::V1_1_0);
    assert_eq!(read, Ok(Attachment::default()));
}
