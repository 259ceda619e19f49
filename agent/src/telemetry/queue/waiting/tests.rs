use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::super::scratch::Scratch;
use super::super::spool::Spool;
use super::*;

const BOUNDS: Bounds = Bounds { disk: 1_000, memory: 400, requests: 20, age: Duration::from_secs(100) };

fn request(name: u8, length: usize, at: u64) -> Request {
    Request { signal: Signal::Traces, items: 1, body: vec![name; length].into(), at: Timestamp(at) }
}

/// A request that takes so many bytes in all.
fn of(name: u8, length: u64) -> Request {
    request(name, usize::try_from(length).unwrap() - super::super::segment::RECORD_HEAD, 1)
}

fn in_memory() -> Waiting {
    Waiting::new(Signal::Traces, BOUNDS, Disk::Absent)
}

impl Waiting {
    fn names(&self) -> Vec<u8> {
        self.entries.iter().map(|entry| entry.body.as_ref().map_or(0, |body| body[0])).collect()
    }

    fn next(&mut self) -> Option<u8> {
        self.hold(Timestamp(1)).map(|request| request.body[0])
    }

    /// The sums are what they are sums of.
    fn check(&self) {
        let sum = |of: &dyn Fn(&Entry) -> u64| self.entries.iter().map(of).sum::<u64>();
        assert_eq!(self.size, Size { bytes: sum(&|entry| entry.length), items: sum(&|entry| entry.items) });
        assert_eq!(self.unwritten, sum(&|entry| if entry.place.is_none() { entry.length } else { 0 }));
        assert_eq!(self.loaded, sum(&|entry| if entry.body.is_some() { entry.length } else { 0 }));
    }
}

#[test]
fn on_overflow_the_oldest_go_first_but_never_the_one_that_is_being_sent_nor_the_newest() {
    let mut waiting = in_memory();
    for name in 1..=3 {
        assert!(waiting.push(of(name, 120)).is_empty());
    }
    assert_eq!(waiting.next(), Some(1));
    assert_eq!(waiting.push(of(4, 120)), [Loss { items: 1, reason: Reason::Size }]);
    assert_eq!(waiting.names(), [1, 3, 4]);
    waiting.release();
    assert_eq!(waiting.push(of(5, 900)).len(), 3);
    assert_eq!((waiting.names(), waiting.size().bytes), (vec![5], 900));
    for name in 0..20 {
        waiting.push(of(name, 33));
    }
    assert!(waiting.entries.len() <= 20);
    waiting.check();
}

#[test]
fn what_is_too_old_goes() {
    let mut waiting = in_memory();
    waiting.push(request(1, 1, 1));
    let later = 2 + crate::clock::nanos(BOUNDS.age);
    assert_eq!(waiting.push(request(2, 1, later)), [Loss { items: 1, reason: Reason::Age }]);
    assert_eq!(waiting.names(), [2]);
}

#[test]
fn parts_take_the_place_of_what_was_cut() {
    let mut waiting = in_memory();
    waiting.push(of(1, 100));
    waiting.push(of(9, 100));
    waiting.next();
    waiting.settle([of(2, 50), of(3, 50)]);
    assert_eq!((waiting.names(), waiting.size().bytes), (vec![2, 3, 9], 200));
    waiting.settle([]);
    assert_eq!(waiting.names(), [2, 3, 9], "nothing was held");
}

#[test]
fn nothing_leaves_before_it_is_on_disk_unless_the_disk_is_out_of_order() {
    let mut waiting = Waiting::new(Signal::Traces, BOUNDS, Disk::Opening);
    waiting.push(of(1, 100));
    assert_eq!(waiting.next(), None, "what an earlier process left would go first");
    waiting.restore(&[], Timestamp(1));
    assert_eq!(waiting.next(), None);
    assert!(waiting.hold(Timestamp(1).after(OVERDUE)).is_some(), "the disk hangs");
    waiting.release();
    waiting.disk = Disk::Fails;
    assert_eq!(waiting.next(), Some(1));
}

#[test]
fn while_the_disk_takes_nothing_memory_is_bounded_and_what_is_on_disk_stays() {
    let folder = Scratch::new();
    let (mut spool, left) = Spool::open(folder.path().join("traces")).unwrap();
    let mut waiting = Waiting::new(Signal::Traces, BOUNDS, Disk::Opening);
    waiting.restore(&left.records, Timestamp(1));
    waiting.push(of(1, 300));
    write(&mut waiting, &mut spool);
    waiting.disk = Disk::Fails;
    waiting.push(of(2, 200));
    waiting.push(of(3, 200));
    assert_eq!(waiting.push(of(4, 200)), [Loss { items: 1, reason: Reason::Disk }]);
    assert_eq!(waiting.names(), [1, 3, 4]);
    waiting.check();
}

fn write(waiting: &mut Waiting, spool: &mut Spool) {
    let batch = waiting.unwritten(1 << 20);
    let places: Vec<_> = batch.iter().map(|(ticket, request)| (*ticket, spool.append(request).unwrap())).collect();
    waiting.written(&places);
}

#[test]
fn parts_of_a_request_that_was_written_meanwhile_stand_at_its_place() {
    let folder = Scratch::new();
    let (mut spool, _) = Spool::open(folder.path().join("traces")).unwrap();
    let mut waiting = Waiting::new(Signal::Traces, BOUNDS, Disk::Fails);
    waiting.push(of(1, 100));
    waiting.push(of(9, 100));
    waiting.next();
    let batch = waiting.unwritten(1 << 20);
    waiting.settle([of(2, 50), of(3, 50)]);
    let places: Vec<_> = batch.iter().map(|(ticket, request)| (*ticket, spool.append(request).unwrap())).collect();
    waiting.written(&places);
    waiting.check();
    assert!(!waiting.has_unwritten());
    assert_eq!(waiting.position(), Some(places[0].1.sequence), "the whole is sent again if this process ends now");
    waiting.next();
    waiting.settle([]);
    assert_eq!(waiting.position(), Some(places[0].1.sequence));
    waiting.next();
    waiting.settle([]);
    assert_eq!(waiting.position(), Some(places[1].1.sequence));
}

/// Any order of what may happen, with a disk that works or not: nothing leaves out of order, every item is accounted for.
#[test]
fn whatever_happens_the_order_holds_and_the_account_is_right() {
    for seed in 0..200 {
        let mut chance = SmallRng::seed_from_u64(seed);
        let folder = Scratch::new();
        let (mut spool, _) = Spool::open(folder.path().join("traces")).unwrap();
        let mut waiting = Waiting::new(Signal::Traces, BOUNDS, if seed % 5 == 0 { Disk::Absent } else { Disk::Works });
        let (mut produced, mut sent, mut lost, mut name) = (0, Vec::new(), 0, 0_u8);
        let mut held = None;
        for _ in 0..200 {
            let losses = match chance.random_range(0..8) {
                0..3 => {
                    name += 1;
                    produced += 1;
                    waiting.push(of(name, chance.random_range(40..200)))
                }
                3 if waiting.disk == Disk::Works => {
                    write(&mut waiting, &mut spool);
                    Vec::new()
                }
                4 => {
                    for (ticket, place) in waiting.missing() {
                        let body = spool.read(place).unwrap().filter(|_| chance.random_range(0..20) > 0);
                        lost += u64::from(waiting.found(ticket, body).is_some());
                    }
                    Vec::new()
                }
                5 if waiting.disk != Disk::Absent => {
                    waiting.disk = if chance.random() { Disk::Works } else { Disk::Fails };
                    Vec::new()
                }
                _ => {
                    match held.take() {
                        None => held = waiting.hold(Timestamp(1)),
                        Some(request) if chance.random_range(0..4) > 0 => {
                            waiting.settle([]);
                            sent.push(request.body[0]);
                        }
                        Some(_) => waiting.release(),
                    }
                    Vec::new()
                }
            };
            lost += losses.len() as u64;
            waiting.check();
            assert_eq!(produced, sent.len() as u64 + waiting.size().items + lost, "seed {seed}");
            spool.forget(waiting.position().unwrap_or_else(|| spool.next())).unwrap();
        }
        assert!(sent.is_sorted() && sent.len() > 5, "seed {seed}: {sent:?}");
    }
}
