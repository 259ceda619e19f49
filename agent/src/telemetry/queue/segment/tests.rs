use std::fs;

use super::super::scratch::Scratch;
use super::*;
use crate::telemetry::otlp::Signal;

fn request(name: u8) -> Request {
    let body = vec![name; 20 + usize::from(name)].into();
    Request { signal: Signal::Traces, items: u64::from(name) + 1, body, at: Timestamp(1_000 + u64::from(name)) }
}

/// A segment of five, as it stands on disk.
fn segment(folder: &Scratch) -> Vec<u8> {
    let mut writer = Writer::create(folder.path(), 7).unwrap();
    for name in 0..5 {
        writer.append(7 + u64::from(name), &request(name)).unwrap();
    }
    writer.sync().unwrap();
    fs::read(path(folder.path(), 7)).unwrap()
}

/// Where each of its records ends.
fn ends() -> Vec<usize> {
    let end = |end: &mut usize, name| {
        *end += RECORD_HEAD + request(name).body.len();
        Some(*end)
    };
    (0..5).scan(SEGMENT_HEAD, end).collect()
}

/// What is found in these bytes, and the requests that can be read there.
fn read(folder: &Scratch, bytes: &[u8]) -> (Contents, Vec<u8>) {
    let path = folder.path().join("copy");
    fs::write(&path, bytes).unwrap();
    let file = fs::File::open(&path).unwrap();
    let contents = contents(&file, 7).unwrap();
    let mut names = Vec::new();
    for kept in &contents.records {
        let name = u8::try_from(kept.place.sequence - 7).unwrap();
        if let Some(body) = body(&file, kept.place).unwrap() {
            let expected = request(name);
            assert_eq!((kept.items, kept.at, body), (expected.items, expected.at, expected.body));
            names.push(name);
        }
    }
    (contents, names)
}

#[test]
fn what_was_written_is_read() {
    let folder = Scratch::new();
    let whole = segment(&folder);
    let (contents, names) = read(&folder, &whole);
    assert_eq!((names, contents.damaged, contents.torn), (vec![0, 1, 2, 3, 4], 0, None));
    assert_eq!(ends().last(), Some(&whole.len()));
}

#[test]
fn whatever_byte_is_damaged_costs_one_request_at_most_and_is_noticed() {
    let folder = Scratch::new();
    let whole = segment(&folder);
    for at in 0..whole.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= change;
            let (contents, names) = read(&folder, &bytes);
            let unread = contents.records.len() - names.len();
            assert!(contents.damaged + unread as u64 == 1 && contents.torn.is_none(), "byte {at}: {contents:?}");
            let hit = ends().into_iter().position(|end| at < end).filter(|_| at >= SEGMENT_HEAD);
            let expected: Vec<u8> = (0..5).filter(|name| Some(usize::from(*name)) != hit).collect();
            assert_eq!(names, expected, "byte {at}");
        }
    }
}

#[test]
fn wherever_it_was_cut_what_is_whole_is_read_and_the_rest_is_torn() {
    let folder = Scratch::new();
    let whole = segment(&folder);
    for length in 0..whole.len() {
        let (contents, names) = read(&folder, &whole[..length]);
        let complete = ends().into_iter().filter(|end| *end <= length).count();
        assert_eq!((names.len(), contents.records.len(), contents.damaged), (complete, complete, 0), "length {length}");
        let boundary = length == SEGMENT_HEAD || ends().contains(&length);
        let end = if length < SEGMENT_HEAD { 0 } else { *ends()[..complete].last().unwrap_or(&SEGMENT_HEAD) };
        assert_eq!(contents.torn, (!boundary).then_some(end as u64), "length {length}");
    }
}

#[test]
fn space_that_was_reserved_and_never_written_is_a_torn_tail() {
    let folder = Scratch::new();
    let mut bytes = segment(&folder);
    let end = bytes.len() as u64;
    bytes.resize(bytes.len() + 10_000, 0);
    let (contents, names) = read(&folder, &bytes);
    assert_eq!((names.len(), contents.damaged, contents.torn), (5, 0, Some(end)));
}

#[test]
fn several_damaged_records_are_passed_over() {
    let folder = Scratch::new();
    let mut bytes = segment(&folder);
    for end in [ends()[0], ends()[1], ends()[3]] {
        bytes[end + 3] ^= 0xff;
    }
    let (contents, names) = read(&folder, &bytes);
    assert_eq!((names, contents.damaged), (vec![0, 3], 2), "two stretches, of two records and of one");
}

#[test]
fn a_segment_of_another_version_is_not_understood() {
    let folder = Scratch::new();
    let mut bytes = segment(&folder);
    bytes[8..12].copy_from_slice(&2_u32.to_le_bytes());
    seal(&mut bytes[..SEGMENT_HEAD]);
    let (contents, _) = read(&folder, &bytes);
    assert_eq!((contents.records.len(), contents.damaged), (0, 1));
}

#[test]
fn names_sort_as_numbers_do_and_what_is_no_name_of_ours_is_none() {
    let name = |number: u64| path(Path::new(""), number).to_str().unwrap().to_owned();
    assert!(name(9) < name(10));
    assert_eq!(number(&name(10)), Some(10));
    for other in ["position", "1.segment", "0000000000000000000x.segment", &name(u64::MAX)] {
        assert_eq!(number(other), None, "{other}");
    }
}
