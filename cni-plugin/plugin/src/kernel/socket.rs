//! A socket to rtnetlink: requests, answers, and why the kernel has refused.

use std::fmt;
use std::io;

use netlink_packet_core::{
    ErrorMessage, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NlasIterator,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::SocketAddr;
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::error::{Code, Error};

/// Room for one datagram of answers: what the kernel puts into one at most.
const DATAGRAM: usize = 32 * 1024;

/// How often a list is asked for that changes while the kernel writes it.
const ATTEMPTS: usize = 10;

/// The header that an answer repeats of the request, before it says why it was refused.
const REQUEST_HEADER: usize = 16;

/// The attribute of a refusal that holds the kernel's own words.
const MESSAGE: u16 = 1;

/// A socket to rtnetlink of one network namespace.
pub struct Socket {
    inner: netlink_sys::Socket,
    sequence: u32,
    received: Vec<u8>,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}

/// Why a request had no success.
#[derive(Debug)]
pub struct Refused {
    /// The error number, or why there was no answer.
    pub error: io::Error,
    /// The kernel's own words, where it has some.
    pub message: String,
}

impl Refused {
    /// The same as an error of the plugin; `what` is what was to be done, as in "set lo up".
    pub fn of(self, what: &str) -> Error {
        let Self { error, message } = self;
        let colon = if message.is_empty() { "" } else { ": " };
        Error::new(
            Code::Internal,
            format!("the kernel refuses to {what}: {error}{colon}{message}"),
        )
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self {
            error,
            message: String::new(),
        }
    }
}

impl From<&ErrorMessage> for Refused {
    fn from(answer: &ErrorMessage) -> Self {
        let reasons = answer.header.get(REQUEST_HEADER..).unwrap_or_default();
        let texts = NlasIterator::new(reasons).filter_map(Result::ok);
        let message = texts
            .filter(|reason| reason.kind() == MESSAGE)
            .map(|reason| {
                let text = String::from_utf8_lossy(reason.value());
                text.trim_end_matches('\0').to_owned()
            });
        Self {
            error: answer.to_io(),
            message: message.collect(),
        }
    }
}

impl Socket {
    /// Opens one in the namespace of the calling thread.
    pub fn open() -> io::Result<Self> {
        let mut socket = netlink_sys::Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // An answer says why, and does not repeat the request; what a list is asked by is looked at.
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
        socket.set_netlink_get_strict_chk(true)?;
        Ok(Self {
            inner: socket,
            sequence: 0,
            received: Vec::with_capacity(DATAGRAM),
        })
    }

    /// Asks for a change, or for one object, and returns what the kernel answers with.
    pub fn request(
        &mut self,
        message: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, Refused> {
        self.send(message, NLM_F_ACK)?;
        Ok(self.answers()?.0)
    }

    /// Asks for a list, again if it changes while it is written.
    pub fn list(
        &mut self,
        message: &RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, Refused> {
        for _ in 0..ATTEMPTS {
            self.send(message.clone(), NLM_F_DUMP)?;
            let (objects, is_interrupted) = self.answers()?;
            if !is_interrupted {
                return Ok(objects);
            }
        }
        let error = io::Error::new(
            io::ErrorKind::Interrupted,
            format!("the list has changed {ATTEMPTS} times while it was read"),
        );
        Err(error.into())
    }

    fn send(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut packet = NetlinkMessage::new(header, NetlinkPayload::from(message));
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        self.inner.send(&bytes, 0)?;
        Ok(())
    }

    /// What belongs to the last request, and whether it changed meanwhile.
    fn answers(&mut self) -> Result<(Vec<RouteNetlinkMessage>, bool), Refused> {
        let mut objects = Vec::new();
        let mut is_interrupted = false;
        loop {
            self.received.clear();
            self.inner.recv(&mut self.received, 0)?;
            let mut rest = self.received.as_slice();
            while !rest.is_empty() {
                let message: NetlinkMessage<RouteNetlinkMessage> =
                    NetlinkMessage::deserialize(rest).map_err(io::Error::other)?;
                // The next one begins where four bytes do.
                let length = (message.header.length as usize).next_multiple_of(4);
                rest = rest.get(length..).unwrap_or_default();
                if message.header.sequence_number != self.sequence {
                    continue;
                }
                is_interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
                match message.payload {
                    NetlinkPayload::InnerMessage(object) => objects.push(object),
                    NetlinkPayload::Done(_) => return Ok((objects, is_interrupted)),
                    NetlinkPayload::Error(answer) if answer.code.is_none() => {
                        return Ok((objects, is_interrupted));
                    }
                    NetlinkPayload::Error(answer) => return Err(Refused::from(&answer)),
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::LinkMessage;

    use super::*;

    #[test]
    fn a_refusal_says_what_was_to_be_done_and_why_it_was_not() {
        let mut socket = Socket::open().unwrap();
        let mut message = LinkMessage::default();
        message.header.index = 1_000_000;
        let request = RouteNetlinkMessage::GetLink(message);
        let refused = socket.request(request).unwrap_err();
        assert_eq!(
            refused.of("look for a link").message,
            "the kernel refuses to look for a link: No such device (os error 19)"
        );
    }
}
