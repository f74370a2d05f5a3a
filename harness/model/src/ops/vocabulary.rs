//! Measures of whole distributions over the vocabulary, a row each, straight from hidden states: the divergence from a
//! teacher and the spread of the logits. [rows, vocabulary] is never stored; it refuses gradients for the teacher.

use std::ops::Range;
use std::sync::OnceLock;

use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

use super::head::{Head, LogitMeasure, Piece, Row, TokenHead, cap_slope, measured};
use super::matrix::CpuValues;
use super::normaliser::Normaliser;
use super::portable;
use super::vector::{exp, kernel, sum_of};

/// More than this is taken off no logit: e to the −10⁴ is 0 already, and the arithmetic stays finite.
const MOST_SHIFT: f32 = 1e4;

/// A distribution at each row that the model is compared with: softmax of the teacher's logits, with `shift` taken off that of
/// the row's label.
#[derive(Clone, Debug)]
pub struct SoftTargets {
    /// Hidden states [rows, width] and head of another model; absent: the model itself, as a constant.
    pub teacher: Option<(Tensor, TokenHead)>,
    /// What the teacher is pushed away from before the shift.
    pub contrast: Option<Contrast>,
    /// Of each row the token that `shift` is for.
    pub labels: Vec<Option<u32>>,
    /// What is taken off the label's logit; infinite to remove the label.
    pub shift: f32,
}

/// A third model that a teacher goes away from where that is the surer one: logits t of the teacher become t − alpha · max(c − t, 0).
#[derive(Clone, Debug)]
pub struct Contrast {
    /// Hidden states [rows, width] of the third model.
    pub hidden: Tensor,
    /// Its head, over the same vocabulary.
    pub head: TokenHead,
    /// How far to go; finite.
    pub alpha: f32,
}

/// Which number a comparison with [`SoftTargets`] gives; both have the same gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Σ q (log q − log p), q being the teacher's.
    Divergence,
    /// −Σ q log p.
    CrossEntropy,
}

struct Compared {
    targets: SoftTargets,
    comparison: Comparison,
    soft_cap: Option<f32>,
    /// Of each row ln Σ exp of the model's logits and of the teacher's.
    log_sum_exps: OnceLock<Vec<[f32; 2]>>,
}

/// Both distributions of a row while their logits go by.
struct ComparedRow {
    own: Normaliser,
    teacher: Normaliser,
    /// Σ exp(t − largest t) · (t − z), or without the first t, for logits t of the teacher and z of the model.
    weighted: f32,
    comparison: Comparison,
}

kernel! {
    fn compare<'a>(row: &'a mut ComparedRow, own: &'a [f32], teacher: &'a mut [f32], tokens: &'a Range<usize>) {
        let before = row.teacher.largest;
        row.own.add(own, tokens);
        row.teacher.add(teacher, tokens);
        let largest = row.teacher.largest;
        let counted = f32::from(row.comparison == Comparison::Divergence);
        for (teacher, own) in teacher.iter_mut().zip(own) {
            *teacher = exp(*teacher - largest) * (*teacher * counted - own);
        }
        row.weighted = row.weighted * exp(before - largest) + sum_of(teacher, |x| x);
    }
}

impl ComparedRow {
    fn value(&self) -> f32 {
        let mean = self.weighted / self.teacher.sum;
        match self.comparison {
            Comparison::Divergence => mean - (self.teacher.log_sum_exp() - self.own.log_sum_exp()),
            Comparison::CrossEntropy => mean + self.own.log_sum_exp(),
        }
    }
}

kernel! {
    /// Turns logits into the gradients of a comparison, (p − q) · dvalue.
    fn turn_compared<'a>(own: &'a mut [f32], teacher: &'a [f32], sums: [f32; 2], dvalue: f32, cap: Option<f32>) {
        for (own, teacher) in own.iter_mut().zip(teacher) {
            let slope = match cap {
                Some(cap) => cap_slope(*own, cap),
                None => 1.0,
            };
            *own = (exp(*own - sums[0]) - exp(*teacher - sums[1])) * dvalue * slope;
        }
    }
}

kernel! {
    /// Pushes a teacher's logits away from a third model's where those are larger.
    fn push_away<'a>(teacher: &'a mut [f32], third: &'a [f32], alpha: f32) {
        for (teacher, third) in teacher.iter_mut().zip(third) {
            *teacher -= alpha * (*third - *teacher).max(0.0);
        }
    }
}

/// Another model's logits where `piece` has the trained model's.
fn logits_beside(piece: &Piece, hidden: &Tensor, head: &TokenHead) -> Result<Vec<f32>> {
    let bias = head.bias_or_empty()?;
    let [h, w, b] = [hidden, &head.weight, &bias].map(|t| CpuValues::of(Compared::NAME, t));
    let head = Head {
        hidden: h.matrix()?,
        weight: w.matrix()?,
        bias: b.slice()?,
        soft_cap: head.soft_cap,
    };
    Ok(head.logits(&piece.rows, &piece.tokens))
}

impl Compared {
    /// The teacher's logits, contrasted and shifted, where `piece` has the model's.
    fn teacher_piece(&self, piece: &Piece) -> Result<Vec<f32>> {
        let mut logits = match &self.targets.teacher {
            None => piece.logits.clone(),
            Some((hidden, head)) => logits_beside(piece, hidden, head)?,
        };
        if let Some(contrast) = &self.targets.contrast {
            let third = logits_beside(piece, &contrast.hidden, &contrast.head)?;
            push_away(&mut logits, &third, contrast.alpha);
        }
        let width = piece.tokens.len();
        for (row, label) in piece
            .rows
            .clone()
            .zip(&self.targets.labels[piece.rows.clone()])
        {
            let label = label.map(|label| label as usize);
            if let Some(label) = label.filter(|label| piece.tokens.contains(label)) {
                let place = (row - piece.rows.start) * width + label - piece.tokens.start;
                logits[place] -= self.targets.shift;
            }
        }
        Ok(logits)
    }
}

impl LogitMeasure for Compared {
    const NAME: &'static str = "divergence";

    fn soft_cap(&self) -> Option<f32> {
        self.soft_cap
    }

    fn values(&self, head: Head) -> Result<Vec<f32>> {
        let new = |_: &Option<u32>| ComparedRow {
            own: Normaliser::of(0),
            teacher: Normaliser::of(0),
            weighted: 0.0,
            comparison: self.comparison,
        };
        let mut rows: Vec<ComparedRow> = self.targets.labels.iter().map(new).collect();
        head.for_each_piece(|piece| {
            let (mut teacher, width) = (self.teacher_piece(&piece)?, piece.tokens.len());
            let logits = piece.logits.par_chunks(width);
            logits
                .zip(teacher.par_chunks_mut(width))
                .zip(&mut rows[piece.rows.clone()])
                .for_each(|((own, teacher), row)| compare(row, own, teacher, &piece.tokens));
            Ok(())
        })?;
        let sums = rows
            .iter()
            .map(|row| [row.own.log_sum_exp(), row.teacher.log_sum_exp()]);
        self.log_sum_exps.get_or_init(|| sums.collect());
        Ok(rows.iter().map(ComparedRow::value).collect())
    }

    fn turn(&self, piece: &mut Piece, dvalues: &[f32]) -> Result<()> {
        let (teacher, width) = (self.teacher_piece(piece)?, piece.tokens.len());
        let sums = self.log_sum_exps.get().map_or(&[][..], Vec::as_slice);
        let rows = sums[piece.rows.clone()].par_iter();
        let logits = piece.logits.par_chunks_mut(width);
        logits
            .zip(teacher.par_chunks(width))
            .zip(rows.zip(&dvalues[piece.rows.clone()]))
            .for_each(|((own, teacher), (&sums, &dvalue))| {
                turn_compared(own, teacher, sums, dvalue, self.soft_cap);
            });
        Ok(())
    }
}

/// What the largest logit has over the mean, at each row.
struct Spread {
    soft_cap: Option<f32>,
    vocabulary: usize,
    largest: OnceLock<Vec<usize>>,
}

#[derive(Clone)]
struct SpreadRow {
    normaliser: Normaliser,
    sum: f64,
}

impl Row for SpreadRow {
    #[inline(always)]
    fn see(&mut self, logits: &mut [f32], tokens: &Range<usize>) {
        self.normaliser.add(logits, tokens);
        self.sum += f64::from(sum_of(logits, |logit| logit));
    }
}

impl LogitMeasure for Spread {
    const NAME: &'static str = "logit_spread";

    fn soft_cap(&self) -> Option<f32> {
        self.soft_cap
    }

    fn values(&self, head: Head) -> Result<Vec<f32>> {
        let row = SpreadRow {
            normaliser: Normaliser::of(0),
            sum: 0.0,
        };
        let mut rows = vec![row; head.hidden.nrows()];
        head.for_each_piece(|mut piece| {
            piece.for_each_row(&mut rows);
            Ok(())
        })?;
        let largest = rows.iter().map(|row| row.normaliser.best);
        self.largest.get_or_init(|| largest.collect());
        let vocabulary = head.weight.nrows() as f64;
        let spread = |row: &SpreadRow| row.normaliser.largest - (row.sum / vocabulary) as f32;
        Ok(rows.iter().map(spread).collect())
    }

    fn turn(&self, piece: &mut Piece, dvalues: &[f32]) -> Result<()> {
        let largest = self.largest.get().map_or(&[][..], Vec::as_slice);
        let rows = largest[piece.rows.clone()]
            .iter()
            .zip(&dvalues[piece.rows.clone()]);
        let logits = piece.logits.chunks_mut(piece.tokens.len());
        for (logits, (&largest, &dvalue)) in logits.zip(rows) {
            let slope = |logit: f32| self.soft_cap.map_or(1.0, |cap| cap_slope(logit, cap));
            for (token, logit) in piece.tokens.clone().zip(logits) {
                let own = f32::from(token == largest);
                *logit = (own - 1.0 / self.vocabulary as f32) * dvalue * slope(*logit);
            }
        }
        Ok(())
    }
}

fn check(hidden: &Tensor, head: &TokenHead, targets: Option<&SoftTargets>) -> Result<()> {
    let ((rows, width), (vocabulary, weight_width)) = (hidden.dims2()?, head.weight.dims2()?);
    if width != weight_width || rows == 0 {
        bail!(
            "hidden {:?} and head {:?} do not fit",
            hidden.shape(),
            head.weight.shape()
        );
    }
    let Some(targets) = targets else {
        return Ok(());
    };
    let contrast = targets.contrast.as_ref();
    if let Some(alpha) = contrast
        .map(|contrast| contrast.alpha)
        .filter(|alpha| !alpha.is_finite())
    {
        bail!("a contrast of strength {alpha}");
    }
    let teacher = targets
        .teacher
        .as_ref()
        .map(|(hidden, head)| (hidden, head));
    let contrast = contrast.map(|contrast| (&contrast.hidden, &contrast.head));
    for (hidden, head) in teacher.into_iter().chain(contrast) {
        let ((teacher_rows, width), (teacher_vocabulary, weight_width)) =
            (hidden.dims2()?, head.weight.dims2()?);
        if (teacher_rows, width, teacher_vocabulary) != (rows, weight_width, vocabulary) {
            bail!(
                "{rows} rows over {vocabulary} tokens and the teacher's hidden {:?} and head {:?} do not fit",
                hidden.shape(),
                head.weight.shape()
            );
        }
    }
    let outside = |label: &&u32| **label as usize >= vocabulary;
    if let Some(label) = targets.labels.iter().flatten().find(outside) {
        bail!("label {label} is outside the vocabulary of {vocabulary}");
    }
    if targets.labels.len() != rows || targets.shift.is_nan() {
        bail!(
            "{} labels and shift {} do not fit {rows} rows",
            targets.labels.len(),
            targets.shift
        );
    }
    Ok(())
}

/// How far the model's distribution at each row is from the teacher's, in nats: `[rows]`, differentiable by hidden states
/// [rows, width] and head, constant in the teacher. A divergence is exact to about 1e-6 nats, the rounding of the normalisers it is the difference of.
///
/// # Errors
/// When shapes do not fit, a label is outside the vocabulary, or a tensor is not contiguous f32.
pub fn compare_with_teacher(
    hidden: &Tensor,
    head: &TokenHead,
    targets: &SoftTargets,
    comparison: Comparison,
) -> Result<Tensor> {
    check(hidden, head, Some(targets))?;
    let teacher = targets.teacher.as_ref();
    let targets = SoftTargets {
        teacher: teacher.map(|(hidden, head)| (hidden.detach(), head.detach())),
        contrast: targets.contrast.as_ref().map(|contrast| Contrast {
            hidden: contrast.hidden.detach(),
            head: contrast.head.detach(),
            alpha: contrast.alpha,
        }),
        labels: targets.labels.clone(),
        shift: targets.shift.clamp(-MOST_SHIFT, MOST_SHIFT),
    };
    if portable::is_portable(hidden) {
        return portable::compare_with_teacher(hidden, head, &targets, comparison);
    }
    let soft_cap = head.soft_cap;
    let log_sum_exps = OnceLock::new();
    measured(
        hidden,
        head,
        Compared {
            targets,
            comparison,
            soft_cap,
            log_sum_exps,
        },
    )
}

/// The largest logit less the mean logit at each row: `[rows]`, differentiable by hidden states [rows, width] and head; the
/// gradient of equals goes to the first.
///
/// # Errors
/// As [`compare_with_teacher`].
pub fn logit_spread(hidden: &Tensor, head: &TokenHead) -> Result<Tensor> {
    check(hidden, head, None)?;
    if portable::is_portable(hidden) {
        return portable::logit_spread(hidden, head);
    }
    let measure = Spread {
        soft_cap: head.soft_cap,
        vocabulary: head.weight.dim(0)?,
        largest: OnceLock::new(),
    };
    measured(hidden, head, measure)
}
