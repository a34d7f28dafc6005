//! Plain HTTP/1.1 to `kubectl proxy`, one request after the other.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ironkeel_sim::api::Request;

/// A connection that is opened again when the server closed it.
pub(crate) struct Client {
    address: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(crate) fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            stream: None,
        }
    }

    /// Another connection to the same server.
    pub(crate) fn another(&self) -> Self {
        Self::new(&self.address)
    }

    /// Status and body.
    pub(crate) fn send(&mut self, request: &Request) -> Result<(u16, Vec<u8>), String> {
        // A connection that was closed while idle is found out only by using it; nothing was taken then.
        let reused = self.stream.is_some();
        match self.try_send(request) {
            Err(_) if reused => {
                self.stream = None;
                self.try_send(request).map_err(|error| error.to_string())
            }
            other => other.map_err(|error| error.to_string()),
        }
    }

    fn try_send(&mut self, request: &Request) -> std::io::Result<(u16, Vec<u8>)> {
        let mut stream = if let Some(stream) = self.stream.take() {
            stream
        } else {
            let stream = TcpStream::connect(&self.address)?;
            stream.set_read_timeout(Some(Duration::from_mins(1)))?;
            stream.set_nodelay(true)?;
            BufReader::new(stream)
        };
        let query = if request.query.is_empty() {
            String::new()
        } else {
            format!("?{}", request.query)
        };
        let mut head = format!(
            "{} {}{query} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nContent-Length: {}\r\n",
            request.method,
            request.path,
            request.body.len()
        );
        if !request.content_type.is_empty() {
            head.push_str("Content-Type: ");
            head.push_str(&request.content_type);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&request.body);
        stream.get_mut().write_all(&bytes)?;
        let (code, body, keep) = read_answer(&mut stream)?;
        if keep {
            self.stream = Some(stream);
        }
        Ok((code, body))
    }
}

fn read_answer(stream: &mut BufReader<TcpStream>) -> std::io::Result<(u16, Vec<u8>, bool)> {
    let wrong = |what: &str| std::io::Error::other(what.to_owned());
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(wrong("closed"));
    }
    let code = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let code = code.ok_or_else(|| wrong("no status line"))?;
    let (mut length, mut chunked, mut keep) = (None, false, true);
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let header = line.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse::<usize>().ok();
        }
        chunked |= header == "transfer-encoding: chunked";
        keep &= header != "connection: close";
    }
    let mut body = Vec::new();
    if chunked {
        loop {
            line.clear();
            stream.read_line(&mut line)?;
            let size =
                usize::from_str_radix(line.trim(), 16).map_err(|_| wrong("no chunk size"))?;
            let start = body.len();
            body.resize(start + size, 0);
            stream.read_exact(&mut body[start..])?;
            line.clear();
            stream.read_line(&mut line)?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = length {
        body.resize(length, 0);
        stream.read_exact(&mut body)?;
    } else {
        stream.read_to_end(&mut body)?;
        keep = false;
    }
    Ok((code, body, keep))
}
