//! Texts longer than the context, cut into windows that predict every token once: lm-eval's rolling log-likelihood.

use harness_model::train::TokenizedPair;

/// Windows over `tokens` with one token of context each, where there is no more: every token is predicted once, the first of all
/// after `prefix`, with as much before it as `max_length` input tokens allow.
///
/// The last window reaches back to be as long as the others, so its first tokens are context only.
pub(crate) fn windows(tokens: &[u32], prefix: u32, max_length: usize) -> Vec<TokenizedPair> {
    let mut windows = Vec::new();
    let first = tokens.len().min(max_length);
    if first > 0 {
        windows.push(TokenizedPair {
            prompt: vec![prefix],
            answer: tokens[..first].to_vec(),
        });
    }
    let mut done = first;
    while done < tokens.len() {
        let end = tokens.len().min(done.saturating_add(max_length));
        let start = end - max_length - 1;
        windows.push(TokenizedPair {
            prompt: tokens[start..done].to_vec(),
            answer: tokens[done..end].to_vec(),
        });
        done = end;
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::windows;

    #[test]
    fn every_token_is_predicted_once() {
        let tokens: Vec<u32> = (0..10).collect();
        let shown: Vec<(Vec<u32>, Vec<u32>)> = windows(&tokens, 99, 4)
            .into_iter()
            .map(|window| (window.prompt, window.answer))
            .collect();
        // lm-eval's own windows for this input.
        let want = [
            (vec![99], vec![0, 1, 2, 3]),
            (vec![3], vec![4, 5, 6, 7]),
            (vec![5, 6, 7], vec![8, 9]),
        ];
        assert_eq!(shown, want);
        assert!(windows(&[], 99, 4).is_empty());
        assert_eq!(windows(&[7], 99, 4).len(), 1);
    }
}
