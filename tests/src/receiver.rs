//! A collector in the test's own process: takes OTLP over HTTP, or refuses it for a while.

use std::io::Read;

use crate::answer::Answer;
use crate::message::Request;
use crate::received::Received;
use crate::target::Target;

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    target: Target,
    refused: usize,
}

impl Receiver {
    /// Takes everything.
    pub fn open() -> Self {
        Self::refusing_first(0)
    }

    /// Is unavailable for so many requests, takes everything from then on.
    pub fn refusing_first(requests: usize) -> Self {
        let (early, late) = (Answer::new(503, ""), Answer::new(200, ""));
        Self { target: Target::open(Answer::First(requests, Box::new(early), Box::new(late))), refused: requests }
    }

    /// Goes away: connections are cut and refused.
    pub async fn die(&self) {
        self.target.die().await;
    }

    /// Comes back where it was.
    pub fn revive(&self) {
        self.target.revive();
    }

    /// What `export.otlp.endpoint` is to be.
    pub fn endpoint(&self) -> String {
        self.target.at("")
    }

    /// How many requests came so far, also those that were refused.
    pub fn requests(&self) -> usize {
        self.target.count()
    }

    /// What was taken so far.
    pub fn received(&self) -> Received {
        let mut received = Received::default();
        for request in self.target.requests().iter().skip(self.refused) {
            received.add(&request.path, &plain(request));
        }
        received
    }
}

/// The body, decompressed.
fn plain(request: &Request) -> Vec<u8> {
    match request.headers.get("content-encoding").map(String::as_str) {
        None => request.body.clone(),
        Some("gzip") => {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(request.body.as_slice()).read_to_end(&mut plain).expect("the body is gzip");
            plain
        }
        Some(other) => panic!("the agent was not told to use {other}"),
    }
}
