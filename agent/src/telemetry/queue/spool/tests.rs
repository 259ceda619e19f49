use super::super::scratch::Scratch;
use super::*;
use crate::clock::Timestamp;
use crate::telemetry::otlp::Signal;

fn request(name: u8, length: usize) -> Request {
    Request { signal: Signal::Traces, items: 3, body: vec![name; length].into(), at: Timestamp(u64::from(name)) }
}

fn open(folder: &Scratch) -> (Spool, Left) {
    Spool::open(folder.path().join("traces")).unwrap()
}

/// What can be read of what was left, by name.
fn names(spool: &mut Spool, left: &Left) -> Vec<u8> {
    left.records.iter().filter_map(|kept| spool.read(kept.place).unwrap()).map(|body| body[0]).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    files
}

#[test]
fn what_has_not_left_is_found_again_in_order_over_several_lives() {
    let folder = Scratch::new();
    for life in 0..4 {
        let (mut spool, left) = open(&folder);
        let waiting: Vec<u8> = (2 * life..3 * life).collect();
        assert_eq!(names(&mut spool, &left), waiting, "three come and two leave in each life");
        for name in 0..3 {
            assert_eq!(spool.append(&request(life * 3 + name, 10)).unwrap().sequence, u64::from(life * 3 + name) + 1);
        }
        spool.forget(u64::from(life + 1) * 2 + 1).unwrap();
        // Killed here.
    }
}

#[test]
fn segments_are_ended_when_they_are_long_and_deleted_when_all_in_them_has_left() {
    let folder = Scratch::new();
    let (mut spool, _) = open(&folder);
    let places: Vec<_> = (0..10).map(|name| spool.append(&request(name, 1 << 20)).unwrap()).collect();
    let segments = || files(&folder.path().join("traces")).into_iter().filter(|name| name.ends_with("segment")).count();
    assert_eq!(segments(), 3);
    spool.forget(places[4].sequence).unwrap();
    assert_eq!(segments(), 2);
    assert_eq!(spool.read(places[9]).unwrap().unwrap(), vec![9; 1 << 20]);
    let next = spool.next();
    spool.close(next).unwrap();
    assert_eq!(files(&folder.path().join("traces")), ["position"]);
    let (mut spool, left) = open(&folder);
    assert!(left.records.is_empty() && spool.append(&request(1, 1)).unwrap().sequence == next, "sequences go on");
}

/// The folder of a life that ended with three requests waiting, two of them in a segment of their own.
fn killed(folder: &Scratch) {
    let (mut spool, _) = open(folder);
    spool.append(&request(1, 20)).unwrap();
    spool.append(&request(2, 20)).unwrap();
    spool.forget(2).unwrap();
    drop(spool);
    let (mut spool, _) = open(folder);
    spool.append(&request(3, 20)).unwrap();
    spool.append(&request(4, 20)).unwrap();
}

/// Whatever was done to its files: it opens, takes more, and the next life finds what this one took.
fn goes_on(folder: &Scratch) -> (Left, Vec<u8>) {
    let (mut spool, left) = open(folder);
    let read = names(&mut spool, &left);
    let placed = spool.append(&request(9, 20)).unwrap();
    spool.forget(placed.sequence).unwrap();
    drop(spool);
    let (mut spool, after) = open(folder);
    assert_eq!((names(&mut spool, &after), after.damaged), (vec![9], 0));
    (left, read)
}

#[test]
fn whatever_byte_of_whatever_file_is_damaged_it_starts_counts_and_goes_on() {
    let sample = Scratch::new();
    killed(&sample);
    let names = files(&sample.path().join("traces"));
    assert_eq!(names.len(), 3, "{names:?}");
    let first = names[0].clone();
    for name in names {
        for at in 0..fs::read(sample.path().join("traces").join(&name)).unwrap().len() {
            let folder = Scratch::new();
            killed(&folder);
            let file = folder.path().join("traces").join(&name);
            let mut bytes = fs::read(&file).unwrap();
            bytes[at] ^= 0x55;
            fs::write(&file, bytes).unwrap();
            let (left, read) = goes_on(&folder);
            let noticed = left.damaged + (left.records.len() - read.len()) as u64;
            if name == "position" {
                assert_eq!((read, noticed), (vec![1, 2, 3, 4], 0), "some is sent again, nothing is lost");
            } else if name == first && (48..68).contains(&at) {
                assert_eq!((read, noticed), (vec![2, 3, 4], 0), "the body of one that has left is nobody's concern");
            } else {
                assert_eq!(noticed, 1, "{name} byte {at}: {left:?}");
                assert!(read.len() >= 2 && read.iter().all(|name| [2, 3, 4].contains(name)), "{name} byte {at}: {read:?}");
                assert_eq!(files(&folder.path().join("traces/damaged")), [name.as_str()], "kept for a look");
            }
        }
    }
}

#[test]
fn wherever_a_segment_is_cut_it_starts_and_goes_on() {
    let sample = Scratch::new();
    killed(&sample);
    let name = files(&sample.path().join("traces"))[1].clone();
    let whole = fs::read(sample.path().join("traces").join(&name)).unwrap();
    for length in 0..whole.len() {
        let folder = Scratch::new();
        killed(&folder);
        fs::write(folder.path().join("traces").join(&name), &whole[..length]).unwrap();
        let (left, read) = goes_on(&folder);
        let expected: &[u8] = if length < 16 + 52 { &[2] } else { &[2, 3] };
        assert_eq!((read.as_slice(), left.damaged), (expected, 0), "length {length}");
    }
}

#[test]
fn what_is_none_of_ours_is_let_alone() {
    let folder = Scratch::new();
    killed(&folder);
    for name in ["notes.txt", "1.segment"] {
        fs::write(folder.path().join("traces").join(name), "mine").unwrap();
    }
    fs::create_dir(folder.path().join("traces/00000000000000000000.segment")).unwrap();
    let (left, read) = goes_on(&folder);
    assert_eq!((read, left.damaged), (vec![2, 3, 4], 1), "a folder of that name is no file");
    assert!(folder.path().join("traces/notes.txt").exists());
}

#[test]
fn a_disk_that_takes_nothing_is_used_again_once_it_does() {
    let folder = Scratch::new();
    let (mut spool, _) = open(&folder);
    let place = folder.path().join("traces");
    fs::remove_dir_all(&place).unwrap();
    fs::write(&place, "a file where the folder was").unwrap();
    spool.append(&request(1, 10)).unwrap_err();
    spool.append(&request(1, 10)).unwrap_err();
    fs::remove_file(&place).unwrap();
    spool.append(&request(2, 10)).unwrap();
    spool.sync().unwrap();
    let (mut spool, left) = open(&folder);
    assert_eq!(names(&mut spool, &left), [2]);
}
