use super::*;

const SECOND: u64 = 1_000_000_000;

/// `+` succeeded, `-` failed, `w` succeeded with a warning.
fn result(word: char, at: u64) -> Counted {
    Counted { at, good: word != '-', warned: word == 'w', reason: if word == '-' { "connection refused".into() } else { String::new() } }
}

fn tracked(words: &str, settings: &Settings) -> (Track, Vec<State>) {
    let mut track = Track::anew(None);
    let mut states = Vec::new();
    for (word, at) in words.chars().zip(1..) {
        track.take(&result(word, at * SECOND), settings);
        track.settle(at * SECOND, SECOND, settings);
        states.push(track.state());
    }
    (track, states)
}

fn states(words: &str) -> String {
    let letter = |state: &State| match state {
        State::Unknown => '?',
        State::Up => 'U',
        State::Degraded => 'g',
        State::Down => 'D',
        State::Flapping => 'F',
    };
    tracked(words, &Settings::default()).1.iter().map(letter).collect()
}

#[test]
fn the_first_success_is_up_at_once_and_the_second_failure_down() {
    assert_eq!(states("+"), "U");
    assert_eq!(states("----"), "?DDD");
    assert_eq!(states("-+"), "?U");
}

#[test]
fn a_single_failure_is_not_down_and_a_single_success_not_up() {
    assert_eq!(states("++-+--+-"), "UUUUUDDD");
    assert_eq!(states("--+++"), "?DDUU");
}

#[test]
fn dying_and_coming_back_once_is_not_flapping() {
    assert_eq!(states("++++++----++++++"), "UUUUUUUDDDDUUUUU");
}

#[test]
fn going_up_and_down_often_is_flapping_until_results_agree() {
    assert_eq!(states("+-+-+-+-+++++++++"), "UUUUUUFFFFFFFUUUU");
    assert_eq!(states("+-+-+-+------"), "UUUUUUFFFFFFD");
    let calm = Settings { flapping: false, ..Settings::default() };
    assert!(!tracked("+-+-+-+-+-+-", &calm).1.contains(&State::Flapping));
}

#[test]
fn three_failures_spread_over_many_runs_are_not_flapping() {
    assert!(!states("+++++-+++++++++-+++++++++-+++++").contains('F'));
}

#[test]
fn equal_results_after_flapping_do_not_start_it_again() {
    let states = states(&format!("{}{}", "+-".repeat(10), "+".repeat(20)));
    let calm = states.rfind('F').unwrap();
    assert!(states[calm + 1..].chars().all(|state| state == 'U') && calm < 27, "{states}");
}

#[test]
fn warnings_degrade_at_once_and_clean_runs_end_that() {
    assert_eq!(states("+w+++"), "UggUU");
    assert_eq!(states("w--ww"), "ggDDg");
    let patient = Settings { degraded_after: 2, ..Settings::default() };
    assert_eq!(tracked("+w+ww", &patient).1, [State::Up, State::Up, State::Up, State::Up, State::Degraded]);
}

#[test]
fn where_nothing_counts_for_long_nothing_is_known_and_then_one_success_is_enough() {
    let (mut track, _) = tracked("----", &Settings::default());
    track.settle(14 * SECOND, SECOND, &Settings::default());
    assert_eq!(track.state(), State::Down);
    track.settle(15 * SECOND, SECOND, &Settings::default());
    assert_eq!(track.state(), State::Unknown);
    assert_eq!(track.message(100 * SECOND, &Settings::default()), "no result that counts for 1 minute");
    track.take(&result('+', 20 * SECOND), &Settings::default());
    assert_eq!(track.state(), State::Up);
}

#[test]
fn messages_say_how_many_and_why() {
    let message = |words: &str| {
        let (track, _) = tracked(words, &Settings::default());
        track.message(0, &Settings::default())
    };
    assert_eq!(message(""), "no result that counts yet");
    assert_eq!(message("+"), "the last run succeeded");
    assert_eq!(message("+++"), "the last 3 runs succeeded");
    assert_eq!(message("+-"), "1 of the last 1 run failed: connection refused; down after 2 in a row");
    assert_eq!(message("+---"), "3 of the last 3 runs failed: connection refused");
    assert_eq!(message("+---+"), "the last run succeeded, up after 2; 3 of the last 5 runs failed: connection refused");
    assert_eq!(message("+ww"), "the last 2 runs succeeded with warnings");
    assert_eq!(message("w+"), "the last run succeeded without warnings, up after 2");
    assert_eq!(message("+-+-+-+"), "6 changes between success and failure in the last 7 runs; the last failure: connection refused");
}

#[test]
fn it_comes_back_as_it_was() {
    for words in ["", "+", "---", "w", "+-+-+-+-"] {
        let (track, _) = tracked(words, &Settings::default());
        let mut bytes = Vec::new();
        track.write(&mut bytes);
        let mut reader = Reader(&bytes);
        assert_eq!((Track::read(&mut reader), reader.0.len()), (Some(track), 0));
        for end in 0..bytes.len() {
            assert_eq!(Track::read(&mut Reader(&bytes[..end])), None);
        }
    }
}
