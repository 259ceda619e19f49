use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::scratch::Scratch;
use super::*;
use crate::telemetry::fake::until;
use crate::vitals::Vitals;

/// A lane of spans, below a folder or in memory.
struct Queue {
    lane: Arc<Lane>,
    vitals: Arc<Vitals>,
}

impl Queue {
    fn open(folder: Option<&Scratch>, bounds: Bounds) -> Self {
        let vitals = Arc::new(Vitals::default());
        let home = folder.map(|folder| Home::open(folder.path()).unwrap());
        Self { lane: Lane::open_with(Signal::Traces, home.as_ref(), &vitals, bounds), vitals }
    }

    /// Opens what the next process would find if the one that uses this folder were killed now.
    fn after_a_kill(folder: &Scratch) -> (Scratch, Self) {
        let copy = Scratch::new();
        let from = place(folder);
        fs::create_dir_all(place(&copy)).unwrap();
        for entry in fs::read_dir(from).unwrap().flatten().filter(|entry| entry.path().is_file()) {
            fs::copy(entry.path(), place(&copy).join(entry.file_name())).unwrap();
        }
        let next = Self::open(Some(&copy), Bounds::DEFAULT);
        (copy, next)
    }

    fn push(&self, name: u8) {
        self.push_of(name, 10);
    }

    fn push_of(&self, name: u8, length: usize) {
        self.lane.push(Request { signal: Signal::Traces, items: 2, body: vec![name; length].into(), at: Timestamp::now() });
        self.balance();
    }

    async fn next(&self) -> Request {
        loop {
            match self.lane.hold() {
                Some(request) => return request,
                None => self.lane.arrival().await,
            }
        }
    }

    /// Sends so many, and says which.
    async fn send(&self, count: usize) -> Vec<u8> {
        let mut names = Vec::new();
        for _ in 0..count {
            let request = self.next().await;
            self.lane.accepted(&request, 0);
            self.balance();
            names.push(request.body[0]);
        }
        names
    }

    fn items(&self) -> BTreeMap<String, u64> {
        self.vitals.export_items.snapshot().into_iter().map(|(values, count)| (values[1].clone(), count)).collect()
    }

    fn dropped(&self) -> Vec<(String, u64)> {
        self.vitals.export_dropped.snapshot().into_iter().map(|(values, count)| (values[1].clone(), count)).collect()
    }

    fn synced(&self) -> u64 {
        self.vitals.export_synced.snapshot().into_iter().map(|(_, count)| count).sum()
    }

    fn queued(&self) -> u64 {
        u64::try_from(self.vitals.export_queue_items[0].get()).unwrap()
    }

    /// The ledger is right, whatever the keeper does meanwhile.
    fn balance(&self) {
        let (items, queued) = self.lane.still(|| (self.items(), self.queued()));
        let of = |outcome: &str| items.get(outcome).copied().unwrap_or_default();
        assert_eq!(of("produced") + of("replayed"), of("sent") + of("rejected") + of("dropped") + queued, "{items:?}");
    }
}

fn place(folder: &Scratch) -> PathBuf {
    folder.path().join("queue/otlp/traces")
}

fn files(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

#[tokio::test]
async fn what_was_acknowledged_outlives_the_process_and_goes_before_what_comes_later() {
    let folder = Scratch::new();
    let first = Queue::open(Some(&folder), Bounds::DEFAULT);
    for name in 1..=5 {
        first.push(name);
    }
    assert_eq!(first.send(2).await, [1, 2]);
    until(|| first.synced() == 10).await;
    let (copy, second) = Queue::after_a_kill(&folder);
    second.push(6);
    until(|| second.items().contains_key("replayed")).await;
    let names = second.send(usize::try_from(second.queued() / 2).unwrap()).await;
    // The last position may not have been written before the copy was made.
    assert!(names.ends_with(&[3, 4, 5, 6]), "{names:?}");
    assert_eq!(second.lane.close().await.items, 0);
    second.balance();
    let third = Queue::open(Some(&copy), Bounds::DEFAULT);
    third.push(7);
    assert_eq!(third.send(1).await, [7]);
    assert_eq!(third.items().get("replayed"), None);
}

#[tokio::test]
async fn an_orderly_end_keeps_what_has_not_left_and_nothing_else() {
    let folder = Scratch::new();
    for life in 0..3 {
        let queue = Queue::open(Some(&folder), Bounds::DEFAULT);
        for name in 0..3 {
            queue.push(life * 3 + name);
        }
        let first = life * 2;
        assert_eq!(queue.send(2).await, [first, first + 1]);
        let rest = queue.lane.close().await;
        assert_eq!((rest.items, rest.lost), (u64::from(life + 1) * 2, 0));
        queue.balance();
    }
    let queue = Queue::open(Some(&folder), Bounds::DEFAULT);
    assert_eq!(queue.send(3).await, [6, 7, 8]);
    queue.lane.close().await;
    assert_eq!(files(&place(&folder)), 1, "the position alone");
}

#[tokio::test]
async fn more_than_memory_holds_waits_on_disk_and_leaves_in_order() {
    let folder = Scratch::new();
    let queue = Queue::open(Some(&folder), Bounds::DEFAULT);
    for name in 0..100 {
        queue.push_of(name, 200_000);
    }
    until(|| queue.synced() == 200).await;
    assert_eq!(queue.send(100).await, (0..100).collect::<Vec<_>>());
    assert_eq!(queue.vitals.export_queue_size.get(), 0);
    until(|| files(&place(&folder)) <= 2).await;
}

#[tokio::test]
async fn the_oldest_go_when_the_disk_may_hold_no_more() {
    let folder = Scratch::new();
    let bounds = Bounds { disk: 1_000_000, ..Bounds::DEFAULT };
    let queue = Queue::open(Some(&folder), bounds);
    for name in 0..10 {
        queue.push_of(name, 300_000);
    }
    assert_eq!(queue.dropped(), [("size".to_owned(), 14)]);
    assert_eq!(queue.send(3).await, [7, 8, 9]);
    assert_eq!(queue.vitals.export_queue_limit.get(), 1_000_000);
}

#[tokio::test]
async fn what_is_too_old_is_not_sent_after_a_long_stop() {
    let folder = Scratch::new();
    let queue = Queue::open(Some(&folder), Bounds::DEFAULT);
    queue.push(1);
    queue.lane.close().await;
    let queue = Queue::open(Some(&folder), Bounds { age: Duration::ZERO, ..Bounds::DEFAULT });
    until(|| queue.dropped() == [("age".to_owned(), 2)]).await;
    queue.balance();
    assert!(queue.lane.is_empty());
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_replaced_by_memory_within_its_bound_until_it_does() {
    let folder = Scratch::new();
    let queue = Queue::open(Some(&folder), Bounds { memory: 1_000, ..Bounds::DEFAULT });
    until(|| place(&folder).exists() && queue.lane.is_empty()).await;
    fs::remove_dir_all(place(&folder)).unwrap();
    fs::write(place(&folder), "a file where the folder was").unwrap();
    for name in 0..5 {
        queue.push_of(name, 300);
    }
    assert_eq!(queue.dropped(), [("disk".to_owned(), 4)]);
    assert_eq!(queue.send(1).await, [2], "the collector may be there all the same");
    fs::remove_file(place(&folder)).unwrap();
    until(|| queue.synced() == 6).await;
    let (_copy, next) = Queue::after_a_kill(&folder);
    assert_eq!(next.send(2).await, [3, 4]);
}

#[tokio::test]
async fn a_damaged_request_is_given_up_counted_and_those_behind_it_are_sent() {
    let folder = Scratch::new();
    let queue = Queue::open(Some(&folder), Bounds::DEFAULT);
    for name in 1..=3 {
        queue.push(name);
    }
    queue.lane.close().await;
    let segment = fs::read_dir(place(&folder)).unwrap().flatten().map(|entry| entry.path()).find(|path| path.extension().is_some());
    let segment = segment.unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    // Within the body of the second.
    bytes[16 + (segment::RECORD_HEAD + 10) + segment::RECORD_HEAD + 5] ^= 0xff;
    fs::write(&segment, bytes).unwrap();
    let queue = Queue::open(Some(&folder), Bounds::DEFAULT);
    assert_eq!(queue.send(2).await, [1, 3]);
    assert_eq!(queue.dropped(), [("damaged".to_owned(), 2)]);
    queue.lane.close().await;
    assert_eq!(files(&place(&folder).join("damaged")), 1);
}

#[tokio::test]
async fn a_fifo_in_the_place_of_a_file_is_not_waited_for() {
    let folder = Scratch::new();
    let (place, mode) = (place(&folder), rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR);
    fs::create_dir_all(&place).unwrap();
    for name in ["position", "position.new", "00000000000000000003.segment"] {
        rustix::fs::mknodat(rustix::fs::CWD, place.join(name), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    }
    let queue = Queue::open(Some(&folder), Bounds::DEFAULT);
    queue.push(1);
    assert_eq!(queue.send(1).await, [1]);
    queue.lane.close().await;
    let lock = folder.path().join("queue/lock");
    fs::remove_file(&lock).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &lock, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert!(matches!(super::Home::open(folder.path()), Err(super::home::HomeError::Unusable { .. })));
}

#[tokio::test]
async fn what_was_refused_is_kept_for_a_look_and_a_memory_queue_keeps_nothing() {
    let folder = Scratch::new();
    for folder in [Some(&folder), None] {
        let queue = Queue::open(folder, Bounds::DEFAULT);
        queue.push(7);
        let request = queue.next().await;
        queue.lane.refused(request);
        queue.balance();
        assert_eq!(queue.items()["rejected"], 2);
        queue.lane.close().await;
    }
    let rejected = place(&folder).join("rejected");
    let kept: Vec<_> = fs::read_dir(rejected).unwrap().flatten().map(|entry| fs::read(entry.path()).unwrap()).collect();
    assert_eq!(kept, [vec![7; 10]]);
}

#[tokio::test]
async fn a_request_that_was_cut_is_whole_again_after_a_kill() {
    let folder = Scratch::new();
    let queue = Queue::open(Some(&folder), Bounds::DEFAULT);
    queue.push(1);
    queue.push(4);
    let request = queue.next().await;
    let half = |name: u8| Request { items: 1, body: vec![name; 5].into(), ..request.clone() };
    queue.lane.split([half(2), half(3)]);
    assert_eq!(queue.send(1).await, [2]);
    until(|| queue.synced() == 4).await;
    let (_copy, next) = Queue::after_a_kill(&folder);
    assert_eq!(next.send(2).await, [1, 4]);
    assert_eq!(queue.send(2).await, [3, 4]);
}

#[tokio::test]
async fn a_memory_queue_says_what_it_loses() {
    let queue = Queue::open(None, Bounds::DEFAULT);
    queue.push(1);
    queue.push(2);
    assert_eq!(queue.send(1).await, [1]);
    let rest = queue.lane.close().await;
    assert_eq!((rest.items, rest.lost), (2, 2));
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_replaced_by_memory() {
    let folder = Scratch::new();
    fs::create_dir_all(folder.path().join("queue")).unwrap();
    fs::write(folder.path().join("queue/otlp"), "a file where a folder should be").unwrap();
    let queue = Queue::open(Some(&folder), Bounds::DEFAULT);
    queue.push(1);
    assert_eq!(queue.send(1).await, [1]);
    assert_eq!(queue.vitals.export_queue_limit.get(), 32 << 20);
    queue.lane.close().await;
}
