//! Where beside their points words can stand without covering each other. Draws nothing.

/// A word of the drawing's font takes about so much.
const CHARACTER_WIDTH: f64 = 6.6;
const LINE_HEIGHT: f64 = 13.0;
/// Half the size of a point, with some air.
const POINT: f64 = 7.0;

/// A rectangle: left, top, right, bottom.
type Area = (f64, f64, f64, f64);

/// Keeps track of what is covered.
pub(super) struct Labels {
    taken: Vec<Area>,
}

/// A word's place: its offset from the point, and which end of it is there.
pub(super) struct Place {
    pub(super) offset: (f64, f64),
    pub(super) anchor: &'static str,
}

impl Labels {
    /// A drawing with points at these pixels, which no word may cover.
    pub(super) fn around(points: &[(f64, f64)]) -> Self {
        let area = |&(x, y): &(f64, f64)| (x - POINT, y - POINT, x + POINT, y + POINT);
        Self {
            taken: points.iter().map(area).collect(),
        }
    }

    /// The nearest free place for a word at a point; the first one where all are taken.
    pub(super) fn place(&mut self, at: (f64, f64), word: &str) -> Place {
        let width = word.chars().count() as f64 * CHARACTER_WIDTH;
        let area = |place: &Place| -> Area {
            let x = at.0 + place.offset.0 - if place.anchor == "end" { width } else { 0.0 };
            let y = at.1 + place.offset.1;
            (x, y - LINE_HEIGHT + 3.0, x + width, y + 3.0)
        };
        let is_free = |place: &Place| {
            let own = area(place);
            let covers = |other: &Area| {
                own.0 < other.2 && other.0 < own.2 && own.1 < other.3 && other.1 < own.3
            };
            !self.taken.iter().any(covers)
        };
        let place = candidates().find(is_free).unwrap_or(Place {
            offset: (9.0, 4.0),
            anchor: "start",
        });
        self.taken.push(area(&place));
        place
    }
}

/// Right of the point, left of it, then further and further above and below.
fn candidates() -> impl Iterator<Item = Place> {
    let heights = (0..10).flat_map(|line| {
        let away = f64::from(line) * LINE_HEIGHT;
        [4.0 + away, 4.0 - away]
    });
    heights.flat_map(|y| {
        [(9.0, "start"), (-9.0, "end")].map(|(x, anchor)| Place {
            offset: (x, y),
            anchor,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::Labels;

    #[test]
    fn words_cover_neither_points_nor_words() {
        let points = [(100.0, 100.0), (104.0, 101.0), (130.0, 100.0)];
        let mut labels = Labels::around(&points);
        let mut tops = Vec::new();
        for point in points {
            let place = labels.place(point, "some words");
            let left = if place.anchor == "end" { -66.0 } else { 0.0 };
            tops.push((point.0 + place.offset.0 + left, point.1 + place.offset.1));
        }
        for (i, a) in tops.iter().enumerate() {
            for b in &tops[i + 1..] {
                assert!(
                    (a.0 - b.0).abs() >= 66.0 || (a.1 - b.1).abs() >= 13.0,
                    "{tops:?}"
                );
            }
        }
    }
}
