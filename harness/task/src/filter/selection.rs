//! Filters that choose among a request's responses; refuse to choose from too few.

use serde_json::Value;

use super::Responses;

/// The first response, which is then the one that is scored.
pub(super) fn first(responses: Responses) -> Result<Responses, String> {
    match responses {
        Responses::Each(responses) => match responses.into_iter().next() {
            Some(first) => Ok(Responses::One(first)),
            None => Err("take_first: there is no response".to_owned()),
        },
        one @ Responses::One(_) => Ok(one),
    }
}

/// The first so many responses.
pub(super) fn first_of(responses: Responses, count: usize) -> Result<Responses, String> {
    match responses {
        Responses::Each(mut responses) if responses.len() >= count => {
            responses.truncate(count);
            Ok(Responses::Each(responses))
        }
        few => {
            let there = match few {
                Responses::Each(responses) => responses.len(),
                Responses::One(_) => 1,
            };
            Err(format!(
                "take_first_k: {count} responses are asked for, but there are {there}; raise `repeats`"
            ))
        }
    }
}

/// The most common response, of equals the one seen first, as a list of one.
pub(super) fn most_common(responses: Responses) -> Result<Responses, String> {
    let Responses::Each(responses) = responses else {
        return Ok(responses);
    };
    let mut counts: Vec<(Value, usize)> = Vec::new();
    for response in responses {
        match counts.iter_mut().find(|(known, _)| *known == response) {
            Some((_, count)) => *count += 1,
            None => counts.push((response, 1)),
        }
    }
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0);
    match counts.into_iter().find(|(_, count)| *count == most) {
        Some((response, _)) => Ok(Responses::Each(vec![response])),
        None => Err("majority_vote: there is no response".to_owned()),
    }
}
