//! Changes of an input by one who knows how such inputs are built: of brackets, tags, quotes and words.

use std::fmt;
use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// No input is longer (bytes).
pub const LONGEST: usize = 64 * 1024;

/// An input, shown so that one can read it.
#[derive(Clone, PartialEq, Eq)]
pub struct Input(pub Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.escape_ascii())
    }
}

/// What stands where a word stood.
#[derive(Debug, Clone)]
enum Word {
    /// one that means something
    Known(Index),
    /// one from elsewhere in the input
    Own(Index),
    /// any bytes
    Any(Vec<u8>),
}

#[derive(Debug, Clone)]
enum Edit {
    /// a byte is another
    Byte(Index, u8),
    /// a part goes
    Remove(Index),
    /// a part stands elsewhere, too
    Copy(Index, Index),
    /// a part of another input stands here
    Graft(Index, Index, Index),
    /// a part stands there often
    Repeat(Index, u8),
    /// a word is put in
    Insert(Index, Word),
    /// a part is another word
    Replace(Index, Word),
    /// the rest is missing
    Cut(Index),
}

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        6 => any::<Index>().prop_map(Word::Known),
        2 => any::<Index>().prop_map(Word::Own),
        1 => vec(any::<u8>(), 0..6).prop_map(Word::Any),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    let place = any::<Index>;
    prop_oneof![
        2 => (place(), any::<u8>()).prop_map(|(at, byte)| Edit::Byte(at, byte)),
        2 => place().prop_map(Edit::Remove),
        2 => (place(), place()).prop_map(|(from, to)| Edit::Copy(from, to)),
        2 => (place(), place(), place()).prop_map(|(other, from, to)| Edit::Graft(other, from, to)),
        1 => (place(), any::<u8>()).prop_map(|(at, times)| Edit::Repeat(at, times)),
        3 => (place(), word()).prop_map(|(at, word)| Edit::Insert(at, word)),
        6 => (place(), word()).prop_map(|(at, word)| Edit::Replace(at, word)),
        1 => place().prop_map(Edit::Cut),
    ]
}

/// Inputs of a corpus with some changes in them; with fewer, when one that fails is made smaller.
pub fn inputs(corpus: Vec<Vec<u8>>, words: &'static [&'static str]) -> impl Strategy<Value = Input> {
    (any::<Index>(), vec(edit(), 0..7)).prop_map(move |(which, edits)| {
        let start = corpus[which.index(corpus.len())].clone();
        Input(edits.iter().fold(start, |data, edit| apply(edit, data, &corpus, words)))
    })
}

/// One input with some changes in it, always the same by this seed.
pub fn changed(data: &[u8], words: &'static [&'static str], seed: u32) -> Vec<u8> {
    let bytes: Vec<u8> = seed.to_le_bytes().into_iter().cycle().take(16).collect();
    let rng = TestRng::from_seed(RngAlgorithm::XorShift, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let tree = inputs(vec![data.to_vec()], words).new_tree(&mut runner);
    tree.map_or_else(|_| data.to_vec(), |tree| tree.current().0)
}

fn apply(edit: &Edit, mut data: Vec<u8>, corpus: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let at = |index: &Index, data: &[u8]| index.index(data.len() + 1);
    match edit {
        Edit::Byte(index, byte) => {
            let place = at(index, &data);
            data.splice(place..(place + 1).min(data.len()), [*byte]);
        }
        Edit::Remove(index) => drop(data.drain(part(&data, at(index, &data)))),
        Edit::Copy(from, to) => {
            let piece = data[part(&data, at(from, &data))].to_vec();
            let place = at(to, &data);
            data.splice(place..place, piece);
        }
        Edit::Graft(other, from, to) => {
            let other = &corpus[other.index(corpus.len())];
            let piece = other[part(other, at(from, other))].to_vec();
            let there = part(&data, at(to, &data));
            data.splice(there, piece);
        }
        Edit::Repeat(index, times) => {
            let there = part(&data, at(index, &data));
            let piece = data[there.clone()].repeat(usize::from(*times));
            data.splice(there, piece.into_iter().take(LONGEST));
        }
        Edit::Insert(index, word) => {
            let (place, piece) = (at(index, &data), written(word, &data, words));
            data.splice(place..place, piece);
        }
        Edit::Replace(index, word) => {
            let (there, piece) = (part(&data, at(index, &data)), written(word, &data, words));
            data.splice(there, piece);
        }
        Edit::Cut(index) => data.truncate(at(index, &data)),
    }
    data.truncate(LONGEST);
    data
}

fn written(word: &Word, data: &[u8], words: &[&str]) -> Vec<u8> {
    match word {
        Word::Known(index) if !words.is_empty() => words[index.index(words.len())].as_bytes().to_vec(),
        Word::Known(index) | Word::Own(index) => data[part(data, index.index(data.len() + 1))].to_vec(),
        Word::Any(bytes) => bytes.clone(),
    }
}

/// What stands at a place: an element with its tags, what is in quotes or brackets, a word, or one byte.
fn part(data: &[u8], at: usize) -> Range<usize> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(byte);
    let Some(first) = data.get(at) else { return data.len()..data.len() };
    let rest = &data[at..];
    let length = match first {
        b'<' => element(rest),
        b'"' | b'\'' => rest[1..].iter().position(|byte| byte == first).map(|end| end + 2),
        b'{' => closed(rest, b'{', b'}'),
        b'[' => closed(rest, b'[', b']'),
        byte if is_word(byte) => {
            let before = data[..at].iter().rev().take_while(|byte| is_word(byte)).count();
            let after = rest.iter().take_while(|byte| is_word(byte)).count();
            return at - before..at + after;
        }
        _ => None,
    };
    at..at + length.unwrap_or(1)
}

/// Length of the piece from an opening bracket to its closing one.
fn closed(rest: &[u8], open: u8, close: u8) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, byte) in rest.iter().enumerate() {
        match byte {
            byte if *byte == open => depth += 1,
            byte if *byte == close => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(index + 1);
        }
    }
    None
}

/// Length of the element that begins here, or of its first tag where it has no end.
fn element(rest: &[u8]) -> Option<usize> {
    let tag = rest.iter().position(|byte| *byte == b'>')? + 1;
    let name = rest[1..tag].iter().take_while(|byte| !b" />\n\t".contains(byte)).count();
    if name == 0 || rest[tag - 2] == b'/' || b"/!?".contains(&rest[1]) {
        return Some(tag);
    }
    let end = [b"</", &rest[1..=name], b">"].concat();
    let found = rest.windows(end.len()).position(|window| window == end);
    Some(found.map_or(tag, |found| found + end.len()))
}
