//! Draws text from standard input as a picture of a terminal, in SVG: how the picture in the README is made.

use std::io::Read;

const CHARACTER_WIDTH: f64 = 8.43;
const LINE_HEIGHT: usize = 18;
const MARGIN: usize = 20;
const TITLE_HEIGHT: usize = 24;

#[allow(clippy::print_stdout, reason = "the picture is the result")]
fn main() -> std::io::Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let columns = lines
        .iter()
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(0);
    let width = (columns as f64 * CHARACTER_WIDTH).ceil() as usize + 2 * MARGIN;
    let height = lines.len() * LINE_HEIGHT + 2 * MARGIN + TITLE_HEIGHT;
    println!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">"
    );
    println!("<rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#16181d\"/>");
    for (i, colour) in ["#ff5f57", "#febc2e", "#28c840"].iter().enumerate() {
        println!(
            "<circle cx=\"{}\" cy=\"18\" r=\"5\" fill=\"{colour}\"/>",
            MARGIN + i * 16
        );
    }
    println!(
        "<g font-family=\"'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\" fill=\"#d8dbe2\" xml:space=\"preserve\">"
    );
    for (i, line) in lines.iter().enumerate() {
        let y = MARGIN + TITLE_HEIGHT + i * LINE_HEIGHT + 12;
        let length = line.chars().count() as f64 * CHARACTER_WIDTH;
        // A fixed length keeps columns aligned whatever font is there.
        println!(
            "<text x=\"{MARGIN}\" y=\"{y}\" textLength=\"{length:.1}\">{}</text>",
            escaped(line)
        );
    }
    println!("</g>\n</svg>");
    Ok(())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
