use bytes::Bytes;

use super::encode::{Encoder, envelope, meta};
use super::*;

#[test]
fn the_content_type_decides() {
    let of = |value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
        Encoding::of(&headers)
    };
    assert_eq!(of("application/json"), Encoding::Json);
    assert_eq!(of("application/json;stream=watch"), Encoding::Json);
    assert_eq!(of("text/plain; charset=utf-8"), Encoding::Json);
    assert_eq!(
        of("application/vnd.kubernetes.protobuf"),
        Encoding::Protobuf
    );
    assert_eq!(
        of("application/vnd.kubernetes.protobuf;stream=watch"),
        Encoding::Protobuf
    );
    assert_eq!(Encoding::of(&HeaderMap::new()), Encoding::Json);
}

#[test]
fn what_has_no_envelope_is_an_error() {
    for envelope in ["", "k8s", "{}", "K8s\0"] {
        let opened = Enclosed::open(&Bytes::from(envelope));
        assert!(matches!(opened, Err(Malformed::NoEnvelope)), "{envelope:?}");
    }
    let whole = Bytes::from(envelope("Pod", meta("a", "b", 1)));
    assert!(Enclosed::open(&whole).is_ok());
    assert!(Enclosed::open(&whole.slice(..whole.len() - 6)).is_err());
}

#[test]
fn a_status_is_read_with_its_causes_and_its_delay() {
    let cause = Encoder::default()
        .bytes(1, "NamespaceTerminating")
        .bytes(2, "being terminated")
        .bytes(3, "metadata.namespace");
    let details = Encoder::default()
        .bytes(1, "web")
        .message(4, cause)
        .number(5, 7);
    let refused = encode::status(403, "Forbidden", "no").message(5, details);
    let object = Enclosed::open(&envelope("Status", refused).into()).unwrap();
    assert!(object.is_status());
    let status = status(object.message).unwrap();
    assert_eq!(
        (status.code, &*status.reason, &*status.message),
        (403, "Forbidden", "no")
    );
    let details = status.details.unwrap();
    assert_eq!(details.retry_after_seconds, 7);
    assert_eq!(details.causes[0].reason, "NamespaceTerminating");
    assert_eq!(details.causes[0].field, "metadata.namespace");
}

#[test]
fn metadata_is_read_from_any_object() {
    let object = Encoder::default()
        .message(1, meta("a", "uid-a", 41))
        .bytes(2, "a spec that nobody reads");
    let meta = MetaMessage::of(object.build().into()).unwrap();
    assert_eq!((&*meta.name, &*meta.uid), (&b"a"[..], &b"uid-a"[..]));
    assert_eq!(meta.resource_version().unwrap(), 41);
}

#[test]
fn a_version_that_is_no_number_is_named() {
    let wrong = MetaMessage {
        resource_version: "4x".into(),
        ..MetaMessage::default()
    };
    assert_eq!(
        wrong.resource_version().unwrap_err().to_string(),
        "metadata.resourceVersion \"4x\" is not a decimal number"
    );
    assert_eq!(MetaMessage::default().resource_version().unwrap(), 0);
}
