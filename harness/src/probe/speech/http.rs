//! HTTP/1.1 (RFC 9112): the number stands in the request's target, and comes back as the body.

use super::Turn;

/// Headers that are read of a message.
const HEADERS: usize = 16;
const PATH: &str = "/probe/";

pub(super) fn question(id: u64) -> Vec<u8> {
    format!("GET {PATH}{id} HTTP/1.1\r\nHost: probed\r\nUser-Agent: eastwest\r\nAccept: text/plain\r\n\r\n")
        .into_bytes()
}

pub(super) fn answering(heard: &[u8]) -> Turn {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(taken)) = request.parse(heard) else { return Turn::default() };
    let number = request.path.and_then(|path| path.strip_prefix(PATH)).and_then(|id| id.parse::<u64>().ok());
    let body = number.map(|id| id.to_string()).unwrap_or_default();
    let status = if number.is_some() { "200 OK" } else { "404 Not Found" };
    let length = body.len();
    let say = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{body}");
    Turn { say: say.into_bytes(), number, taken }
}

pub(super) fn answer(heard: &[u8]) -> Turn {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(head)) = response.parse(heard) else { return Turn::default() };
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok());
    let end = length.and_then(|length| head.checked_add(length));
    let Some(body) = end.and_then(|end| heard.get(head..end)) else { return Turn::default() };
    let number = std::str::from_utf8(body).ok().and_then(|id| id.parse().ok()).filter(|_| response.code == Some(200));
    Turn { number, taken: head + body.len(), ..Turn::default() }
}
