//! What differs between two lists of rules.

/// The differences, in the order in which they are to be made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Edit {
    /// rules that both have, at places that nothing but taking them out and putting them in again leads to
    pub moved: Vec<String>,
    /// rules that come, each with its index among those that are there then
    pub inserted: Vec<(usize, String)>,
    /// rules that go when the others have come
    pub deleted: Vec<String>,
}

/// Finds the fewest.
pub(super) fn edits(old: &[String], new: &[String]) -> Edit {
    let mut edit = Edit::default();
    let (mut index, mut from, mut to) = (0, 0, 0);
    for (kept_from, kept_to) in common(old, new).into_iter().chain([(old.len(), new.len())]) {
        for rule in &new[to..kept_to] {
            edit.inserted.push((index, rule.clone()));
            index += 1;
        }
        edit.deleted.extend_from_slice(&old[from..kept_from]);
        index += kept_from - from + 1;
        (from, to) = (kept_from + 1, kept_to + 1);
    }
    edit.moved =
        edit.deleted.iter().filter(|rule| edit.inserted.iter().any(|(_, other)| other == *rule)).cloned().collect();
    edit
}

/// The longest list of pairs of equal rules in both orders.
fn common(old: &[String], new: &[String]) -> Vec<(usize, usize)> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (rows, columns) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let width = columns.len() + 1;
    let mut lengths = vec![0_u32; (rows.len() + 1) * width];
    for row in (0..rows.len()).rev() {
        for column in (0..columns.len()).rev() {
            let at = row * width + column;
            lengths[at] = match rows[row] == columns[column] {
                true => lengths[at + width + 1] + 1,
                false => lengths[at + width].max(lengths[at + 1]),
            };
        }
    }
    let mut pairs: Vec<(usize, usize)> = (0..head).map(|index| (index, index)).collect();
    let (mut row, mut column) = (0, 0);
    while row < rows.len() && column < columns.len() {
        let at = row * width + column;
        if rows[row] == columns[column] {
            pairs.push((head + row, head + column));
            (row, column) = (row + 1, column + 1);
        } else if lengths[at + width] >= lengths[at + 1] {
            row += 1;
        } else {
            column += 1;
        }
    }
    pairs.extend((0..tail).map(|index| (old.len() - tail + index, new.len() - tail + index)));
    pairs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Rules by their letters: what is made of the old list is the new one.
        #[test]
        fn edits_lead_from_one_to_the_other(old in "[a-d]{0,8}", new in "[a-f]{0,8}") {
            let list = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
            let (old, new) = (list(&old), list(&new));
            let edit = edits(&old, &new);
            let mut live: Vec<(bool, String)> = Vec::new();
            let kept = common(&old, &new);
            for (index, rule) in old.iter().enumerate() {
                live.push((kept.iter().any(|(from, _)| *from == index), rule.clone()));
            }
            for (index, rule) in &edit.inserted {
                live.insert(*index, (true, rule.clone()));
            }
            let gone: Vec<String> = live.iter().filter(|(stays, _)| !stays).map(|(_, rule)| rule.clone()).collect();
            prop_assert_eq!(gone, edit.deleted);
            let stays: Vec<String> = live.into_iter().filter(|(stays, _)| *stays).map(|(_, rule)| rule).collect();
            prop_assert_eq!(stays, new);
        }
    }
}
