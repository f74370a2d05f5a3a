//! SmolLM2's GGUF file against the model directory that was made of it, where both are named.

use std::path::PathBuf;

use candle_core::{DType, Device};
use harness_model::{Model, Tokenizer};

use crate::{deviation, logits};

/// SmolLM2 as `HARNESS_SMOLLM2_GGUF` names it must be the model directory `HARNESS_SMOLLM2`, whose weights are its own
/// rounded to bf16.
#[test]
fn smollm2() {
    let named = |name| std::env::var_os(name).map(PathBuf::from);
    let (Some(gguf), Some(directory)) = (named("HARNESS_SMOLLM2_GGUF"), named("HARNESS_SMOLLM2"))
    else {
        eprintln!("SKIPPED: HARNESS_SMOLLM2_GGUF and HARNESS_SMOLLM2 do not both name a model");
        return;
    };
    let ours = Model::open(&gguf, &Device::Cpu).unwrap();
    let theirs = Tokenizer::read(&directory).unwrap();
    let differing: Vec<&str> = AWKWARD
        .into_iter()
        .filter(|text| ours.tokenizer.encode(text).unwrap() != theirs.encode(text).unwrap())
        .collect();
    assert!(differing.is_empty(), "other token ids: {differing:?}");
    // The file's "smollm" also parts numerals that are no digits, which the directory's tokenizer.json does not ask for;
    // with `Digits(individual_digits=True)` put before its pre-tokenizer, Python's tokenizers gives these.
    let numerals = ours.tokenizer.encode("½ ² Ⅷ").unwrap();
    assert_eq!(numerals, [16738, 216, 19133, 216, 173, 223, 117]);
    let mut reference = Model::open(&directory, &Device::Cpu).unwrap();
    let mut worst = 0_f32;
    for (name, want) in reference.weights.iter() {
        let got = ours.weights.get(name).unwrap();
        let rounded = got
            .to_dtype(DType::BF16)
            .unwrap()
            .to_dtype(DType::F32)
            .unwrap();
        let difference = (rounded - want).unwrap().abs().unwrap();
        worst = worst.max(
            difference
                .flatten_all()
                .unwrap()
                .max(0)
                .unwrap()
                .to_scalar()
                .unwrap(),
        );
    }
    assert!(
        worst == 0.0,
        "weights differ by {worst} after rounding to bf16"
    );
    let tokens = ours.tokenizer.encode(&AWKWARD.join("\n")).unwrap();
    let got = logits(&ours, &tokens);
    let rounding = deviation(&got, &logits(&reference, &tokens));
    reference.weights = ours.weights.clone();
    let exact = deviation(&got, &logits(&reference, &tokens));
    eprintln!(
        "SmolLM2, {} tokens: logits off by {rounding:.1e} of their scale (bf16 weights), {exact:.1e} (the same weights)",
        tokens.len()
    );
    assert!(rounding < 2e-2 && exact == 0.0);
    let kept = Model::open_quantized(&gguf, &Device::Cpu).unwrap();
    let kept = deviation(&logits(&kept, &tokens), &got);
    eprintln!("matrices kept in their blocks: {kept:.1e}");
    assert!(kept < 1e-5);
}

/// Spaces, digits, scripts, contractions, code, special tokens, control characters.
const AWKWARD: [&str; 50] = [
    "",
    " ",
    "  ",
    "\n",
    "\n\n\n",
    "\t\tx",
    " leading",
    "trailing ",
    "two  spaces",
    "a\r\nb",
    "1",
    "12",
    "123456",
    "3.14159",
    "1,000,000",
    "x1y22z333",
    "٣٤٥",
    "½/⅓",
    "0x1F",
    "2024-05-06T07:08:09Z",
    "don't I'll we've they'RE",
    "'s 's'S",
    "naïve café",
    "cafe\u{301}",
    "ÅÄÖ åäö ß ẞ",
    "Привет, мир!",
    "你好，世界",
    "こんにちは",
    "안녕하세요",
    "مرحبا بالعالم",
    "नमस्ते",
    "שלום",
    "👍🏽 👨‍👩‍👧‍👦",
    "🇩🇪🇫🇷",
    "a\u{200b}b\u{feff}c",
    "\u{a0}nbsp\u{3000}wide",
    "zero\0byte",
    "\u{7f}\u{80}\u{9f}",
    "Zalgo͂̓",
    "ﬁ ﬂ ﬀ",
    "<|im_start|>user\nhi<|im_end|>",
    "<|endoftext|>",
    "x<|im_end|>y",
    "<|im_start",
    "def f(x):\n    return x ** 2  # ok\n",
    "{\"a\": [1, 2.5, null]}",
    "https://example.org/?q=a%20b&c#d",
    "C++ && a->b || !c;",
    "----====____****",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];
