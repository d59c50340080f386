//! A web server on this machine that answers every request alike, well or badly.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// How it answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// With this, as a web server does.
    Body(Vec<u8>),
    /// With a body in pieces that never ends.
    EndlessBody,
    /// With the first half of a body; then nothing, the connection stays open.
    HalfABody,
    /// With this status line and no body.
    Status(&'static str),
    /// Not at all; the connection stays open.
    Silence,
    /// By closing the connection.
    Close,
}

#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    requests: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, requests) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&requests);
        // Ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                // That a client goes away in the middle is what some tests are about.
                thread::spawn(move || drop(serve(stream, &answer)));
            }
        });
        Server { port, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/timemachine.txt", self.port)
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Where no server is: a port that was free a moment ago.
pub(crate) fn dead_url() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("http://127.0.0.1:{port}/timemachine.txt")
}

fn serve(mut stream: TcpStream, answer: &Answer) -> io::Result<()> {
    let mut request = Vec::new();
    let mut bytes = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut bytes)? {
            0 => return Ok(()),
            n => request.extend_from_slice(&bytes[..n]),
        }
    }
    let wait = || thread::sleep(Duration::from_secs(30));
    match answer {
        Answer::Body(body) => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
            stream.write_all(body)
        }
        Answer::EndlessBody => {
            write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            loop {
                write!(stream, "10\r\n0123456789abcdef\r\n")?;
            }
        }
        Answer::HalfABody => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789")?;
            wait();
            Ok(())
        }
        Answer::Status(status) => write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        Answer::Silence => {
            wait();
            Ok(())
        }
        Answer::Close => Ok(()),
    }
}
