//! From numbers to places on a drawing, and the round numbers to write beside it. Knows nothing of what is drawn.

/// An axis: numbers on one side, pixels on the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    is_logarithmic: bool,
}

/// About so many numbers are written along an axis.
const TICKS: f64 = 5.0;

impl Scale {
    /// Even steps from `low` to `high` over the pixels `from` to `to`; equal ends are moved apart.
    pub(super) fn linear(low: f64, high: f64, from: f64, to: f64) -> Self {
        let apart = if high > low { 0.0 } else { 0.5 };
        Self {
            low: low - apart,
            high: high + apart,
            from,
            to,
            is_logarithmic: false,
        }
    }

    /// Even factors; `low` must be positive.
    pub(super) fn logarithmic(low: f64, high: f64, from: f64, to: f64) -> Self {
        let low = low.max(f64::MIN_POSITIVE);
        Self {
            low,
            high: if high > low { high } else { low * 10.0 },
            from,
            to,
            is_logarithmic: true,
        }
    }

    /// The pixel of a number; what lies outside is put on the edge.
    pub(super) fn pixel(&self, number: f64) -> f64 {
        let share = if self.is_logarithmic {
            (number.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (number - self.low) / (self.high - self.low)
        };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Round numbers between the ends, with their text.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        if self.is_logarithmic {
            return self.powers();
        }
        let step = round_step((self.high - self.low) / TICKS);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last)
            .map(|tick| {
                // Adding zero turns -0 into 0.
                let value = tick as f64 * step + 0.0;
                (value, format!("{value:.decimals$}"))
            })
            .collect()
    }

    fn powers(&self) -> Vec<(f64, String)> {
        let decades = (self.high / self.low).log10();
        let factors: &[f64] = if decades < 2.0 {
            &[1.0, 2.0, 5.0]
        } else {
            &[1.0]
        };
        let range = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let values = range.flat_map(|power| factors.iter().map(move |f| f * 10_f64.powi(power)));
        values
            .filter(|value| (self.low..=self.high).contains(value))
            .map(|value| (value, short(value)))
            .collect()
    }
}

/// The next of 1, 2, 5 times a power of ten.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= step * 0.999);
    factor.unwrap_or(10.0) * power
}

/// A number in few characters: 1500 is 1.5k.
pub(super) fn short(value: f64) -> String {
    let suffixes = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let large = suffixes.into_iter().find(|(unit, _)| value.abs() >= *unit);
    let (unit, suffix) = large.unwrap_or((1.0, ""));
    let text = format!("{:.1}", value / unit);
    format!("{}{suffix}", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::{Scale, short};

    #[test]
    fn ends_lie_on_the_edges_and_outside_is_cut() {
        let scale = Scale::linear(0.0, 2.0, 100.0, 300.0);
        assert!((scale.pixel(1.0) - 200.0).abs() < 1e-12);
        assert!((scale.pixel(9.0) - 300.0).abs() < 1e-12);
        let scale = Scale::logarithmic(1.0, 100.0, 0.0, 200.0);
        assert!((scale.pixel(10.0) - 100.0).abs() < 1e-9);
        assert!(scale.pixel(0.0).abs() < 1e-12);
    }

    #[test]
    fn ticks_are_round() {
        let texts = |scale: Scale| {
            let ticks = scale.ticks();
            ticks.into_iter().map(|(_, text)| text).collect::<Vec<_>>()
        };
        let wanted = ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"];
        assert_eq!(texts(Scale::linear(0.0, 1.0, 0.0, 1.0)), wanted);
        assert_eq!(texts(Scale::linear(-0.1, 0.1, 0.0, 1.0))[2], "0.00");
        assert_eq!(
            texts(Scale::logarithmic(1.0, 1e4, 0.0, 1.0)),
            ["1", "10", "100", "1k", "10k"]
        );
        assert_eq!(texts(Scale::linear(3.0, 3.0, 0.0, 1.0)).len(), 5);
    }

    #[test]
    fn short_numbers() {
        assert_eq!([short(0.0), short(1500.0), short(2e6)], ["0", "1.5k", "2M"]);
    }
}
