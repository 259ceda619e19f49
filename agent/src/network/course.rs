//! Where an exchange's time goes, noted while it goes.

use super::Waiting;
use super::tap::SharedMarks;
use crate::clock::Instant;
use crate::outcome::{Phase, Phases, Stretch};

/// The phases of one exchange. Each begins at the very moment at which the one before ends, so that they neither
/// leave a gap nor overlap; whichever is open when the exchange ends is cut there.
#[derive(Debug)]
pub(super) struct Course {
    start: Instant,
    phases: Phases,
    open: Option<(Phase, Instant)>,
    /// What the connection notes of itself from `send` on.
    marks: Option<SharedMarks>,
}

impl Course {
    /// The exchange starts now.
    pub(super) fn start() -> Self {
        Self { start: Instant::now(), phases: Phases::default(), open: None, marks: None }
    }

    /// A phase begins, and the one before ends. The first begins with the exchange itself.
    pub(super) fn enter(&mut self, phase: Phase) {
        let at = if self.open.is_some() { Instant::now() } else { self.start };
        self.close(at);
        self.open = Some((phase, at));
    }

    /// The connection is ready: from here on its own marks tell sending, waiting and receiving apart.
    pub(super) fn connected(&mut self, marks: SharedMarks) {
        self.enter(Phase::Send);
        self.marks = Some(marks);
    }

    /// What is being waited for at this moment.
    pub(super) fn waiting(&self) -> Waiting {
        match self.open.map(|(phase, _)| phase) {
            None | Some(Phase::Dns) => Waiting::Resolve,
            Some(Phase::Connect) => Waiting::Connect,
            Some(Phase::Tls) => Waiting::Tls,
            Some(_) => {
                let marks = self.marks.as_ref().map(|marks| *marks.lock()).unwrap_or_default();
                match (marks.first, marks.done) {
                    (Some(_), _) => Waiting::Receive,
                    (None, true) => Waiting::Wait,
                    (None, false) => Waiting::Send,
                }
            }
        }
    }

    /// The exchange ends now.
    pub(super) fn finish(mut self) -> (Stretch, Phases) {
        let end = Instant::now();
        self.close(end);
        (Stretch { start: self.start, end }, self.phases)
    }

    fn close(&mut self, end: Instant) {
        let Some((phase, start)) = self.open.take() else { return };
        let Some(marks) = self.marks.take() else { return self.phases.set(phase, Stretch { start, end }) };
        let marks = *marks.lock();
        // An answer may come before the whole request is out (a refusal of its body): sending ends there.
        let sent = match (marks.first, marks.done) {
            (None, false) => end,
            (first, _) => marks.sent.or(first).unwrap_or(end).clamp(start, end),
        };
        self.phases.set(Phase::Send, Stretch { start, end: sent });
        if let Some(first) = marks.first {
            let first = first.clamp(sent, end);
            self.phases.set(Phase::Wait, Stretch { start: sent, end: first });
            self.phases.set(Phase::Receive, Stretch { start: first, end });
        } else if marks.done {
            self.phases.set(Phase::Wait, Stretch { start: sent, end });
        }
    }
}
