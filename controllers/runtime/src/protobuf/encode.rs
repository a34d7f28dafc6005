//! Writes protobuf by hand, independently of what reads it. For tests only.

/// A message under construction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encoder(Vec<u8>);

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

impl Encoder {
    pub(crate) fn number(mut self, tag: u32, number: i64) -> Self {
        varint(u64::from(tag) << 3, &mut self.0);
        varint(number as u64, &mut self.0);
        self
    }

    pub(crate) fn bytes(mut self, tag: u32, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        varint(u64::from(tag) << 3 | 2, &mut self.0);
        varint(content.len() as u64, &mut self.0);
        self.0.extend_from_slice(content);
        self
    }

    pub(crate) fn message(self, tag: u32, message: Self) -> Self {
        self.bytes(tag, message.0)
    }

    pub(crate) fn build(self) -> Vec<u8> {
        self.0
    }
}

/// The envelope around a message of `kind`.
pub(crate) fn envelope(kind: &str, message: Encoder) -> Vec<u8> {
    let of = Encoder::default().bytes(1, "v1").bytes(2, kind);
    let unknown = Encoder::default()
        .message(1, of)
        .message(2, message)
        .bytes(3, "")
        .bytes(4, "");
    [b"k8s\0".to_vec(), unknown.build()].concat()
}

/// Metadata with the usual fields, and one that nobody reads.
pub(crate) fn meta(name: &str, uid: &str, version: u64) -> Encoder {
    Encoder::default()
        .bytes(1, name)
        .bytes(2, "web-")
        .bytes(3, "ns")
        .bytes(5, uid)
        .bytes(6, version.to_string())
        .number(7, 1)
}

/// A `Status` that refuses.
pub(crate) fn status(code: u16, reason: &str, message: &str) -> Encoder {
    Encoder::default()
        .bytes(1, "")
        .bytes(2, "Failure")
        .bytes(3, message)
        .bytes(4, reason)
        .number(6, code.into())
}
