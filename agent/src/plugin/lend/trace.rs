//! `trace`: steps of a journey, each a span.

use wasmtime::component::Resource;

use super::super::bindings::{OpenStep, trace, types};
use super::super::masks::Masks;
use super::super::tidy::{MESSAGE, Tidy, replace_or_push};
use super::Lent;
use crate::clock::Instant;
use crate::outcome::{SpanId, Step, Stretch};

const STEPS: usize = 100;
const DEPTH: usize = 8;
const NAME: usize = 128;
const ATTRIBUTES: usize = 32;

/// The handle of a step that records nothing.
const VOID: u32 = u32::MAX;

/// Steps in the order in which they were opened.
#[derive(Debug)]
pub(in super::super) struct Steps {
    run: SpanId,
    all: Vec<Step>,
    /// Places of those that are open, the innermost last.
    open: Vec<usize>,
    /// How many were not recorded.
    refused: usize,
}

impl Steps {
    pub(super) fn new(run: SpanId) -> Self {
        Self { run, all: Vec::new(), open: Vec::new(), refused: 0 }
    }

    /// The innermost open step, or the run.
    pub(super) fn innermost(&self) -> SpanId {
        self.open.last().and_then(|&place| self.all.get(place)).map_or(self.run, |step| step.span_id)
    }

    /// How many were too many, or too deep.
    pub(in super::super) fn refused(&self) -> usize {
        self.refused
    }

    /// All steps; those that are still open end now, and failed.
    pub(in super::super) fn close(mut self, now: Instant, masks: &Masks) -> Vec<Step> {
        self.close_from(0, now);
        if masks.grew() {
            // A token may have been recorded before it was known to be one.
            for step in &mut self.all {
                masks.apply(&mut step.name);
                step.message.iter_mut().for_each(|message| masks.apply(message));
                step.attributes.iter_mut().for_each(|attribute| super::super::judge::mask(attribute, masks));
            }
        }
        self.all
    }

    fn begin(&mut self, name: String, now: Instant) -> u32 {
        if self.all.len() >= STEPS || self.open.len() >= DEPTH {
            self.refused += 1;
            return VOID;
        }
        let place = self.all.len();
        self.all.push(Step {
            span_id: SpanId::random(),
            parent: self.innermost(),
            name,
            stretch: Stretch { start: now, end: now },
            succeeded: false,
            message: None,
            attributes: Vec::new(),
        });
        self.open.push(place);
        u32::try_from(place).unwrap_or(VOID)
    }

    /// Where in the stack of open steps one stands.
    fn depth(&self, handle: u32) -> Option<usize> {
        let place = usize::try_from(handle).ok()?;
        self.open.iter().position(|&open| open == place)
    }

    fn step(&mut self, depth: usize) -> Option<&mut Step> {
        let place = *self.open.get(depth)?;
        self.all.get_mut(place)
    }

    /// Closes the step at this depth, and first those within it.
    fn close_from(&mut self, depth: usize, now: Instant) {
        for place in self.open.drain(depth..) {
            if let Some(step) = self.all.get_mut(place) {
                step.stretch.end = now;
            }
        }
    }
}

impl trace::Host for Lent {
    fn current(&mut self) -> trace::Context {
        trace::Context { trace_id: self.call.trace_id.to_string(), span_id: self.steps.innermost().to_string(), sampled: self.call.sampled }
    }
}

impl trace::HostStep for Lent {
    fn begin(&mut self, name: String) -> Resource<OpenStep> {
        let name = Tidy(&self.masks).text(name, NAME);
        Resource::new_own(self.steps.begin(name, Instant::now()))
    }

    fn annotate(&mut self, step: Resource<OpenStep>, attribute: types::Attribute) {
        let Some(depth) = self.steps.depth(step.rep()) else { return };
        let Some(attribute) = Tidy(&self.masks).attribute(attribute) else { return };
        let Some(step) = self.steps.step(depth) else { return };
        replace_or_push(&mut step.attributes, attribute, ATTRIBUTES);
    }

    fn finish(&mut self, step: Resource<OpenStep>, verdict: types::Verdict, message: Option<String>) {
        let Some(depth) = self.steps.depth(step.rep()) else { return };
        let message = message.map(|message| Tidy(&self.masks).text(message, MESSAGE));
        if let Some(step) = self.steps.step(depth) {
            step.succeeded = verdict == types::Verdict::Success;
            step.message = message.filter(|message| !message.is_empty());
        }
        self.steps.close_from(depth, Instant::now());
    }

    fn drop(&mut self, step: Resource<OpenStep>) -> wasmtime::Result<()> {
        if let Some(depth) = self.steps.depth(step.rep()) {
            self.steps.close_from(depth, Instant::now());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps() -> Steps {
        Steps::new(SpanId([1; 8]))
    }

    #[test]
    fn steps_nest_in_the_order_in_which_they_were_opened() {
        let (mut steps, now) = (steps(), Instant::now());
        let outer = steps.begin("outer".to_owned(), now);
        let inner = steps.begin("inner".to_owned(), now);
        steps.close_from(steps.depth(inner).unwrap(), now);
        steps.begin("sibling".to_owned(), now);
        steps.close_from(steps.depth(outer).unwrap(), now);
        assert_eq!(steps.innermost(), SpanId([1; 8]));
        let all = steps.close(now, &Masks::default());
        assert_eq!(all[0].parent, SpanId([1; 8]));
        assert_eq!((all[1].parent, all[2].parent), (all[0].span_id, all[0].span_id));
        assert!(all.iter().all(|step| !step.succeeded));
    }

    #[test]
    fn beyond_8_deep_and_100_in_all_a_step_records_nothing() {
        let (mut deep, now) = (steps(), Instant::now());
        (0..9).for_each(|_| _ = deep.begin(String::new(), now));
        assert_eq!(deep.refused(), 1);
        assert_eq!(deep.close(now, &Masks::default()).len(), 8);
        let mut many = steps();
        for _ in 0..150 {
            let step = many.begin(String::new(), now);
            if let Some(depth) = many.depth(step) {
                many.close_from(depth, now);
            }
        }
        assert_eq!(many.close(now, &Masks::default()).len(), 100);
    }

    #[test]
    fn a_closed_step_is_closed() {
        let (mut steps, now) = (steps(), Instant::now());
        let step = steps.begin(String::new(), now);
        steps.close_from(0, now);
        assert_eq!((steps.depth(step), steps.depth(VOID)), (None, None));
    }
}
