//! Everything that a campaign does to one model, in its order: asked before any training, attacked, judged, and repaired by the
//! best attacker, whose name the judgement gives.

use super::campaign::ModelAttacks;
use super::judging::{AllAnchors, judge};
use super::subject::Subject;
use super::verdict::Verdict;
use crate::error::Result;
use crate::event::Observer;

impl Subject<'_> {
    /// What the model knows before any training, as it is and under attacks that train nothing.
    ///
    /// # Errors
    /// When the model cannot be read or asked, questions with examples do not fit it, or a record cannot be written.
    pub fn before_training(&mut self, observer: &mut Observer) -> Result<ModelAttacks> {
        Ok(ModelAttacks {
            before: self.before(observer)?,
            untrained: self.untrained(observer)?,
            attacks: Vec::new(),
            repair: None,
        })
    }

    /// All attackers on the model, `before` whom it knew so much, and what they come to.
    ///
    /// # Errors
    /// As [`Self::before_training`]. An attack that fails is a record that says so.
    pub fn attacked(
        &mut self,
        before: ModelAttacks,
        anchors: &AllAnchors,
        observer: &mut Observer,
    ) -> Result<(ModelAttacks, Verdict)> {
        let mut all = before;
        for attacker in &self.campaign.attackers {
            all.attacks
                .push((*attacker, self.attack(attacker, observer)?));
        }
        let headline = self.campaign.materials.headline();
        let verdict = judge(&self.name, &all, anchors, headline)?;
        let scale = anchors.plain.of_control(headline);
        let (Some(best), Some(scale), true) =
            (verdict.best_attacker(), scale, self.campaign.control)
        else {
            return Ok((all, verdict));
        };
        let attacker = best.attacker.on_related_data();
        let repair = self.repair(&attacker, &scale, observer)?;
        all.repair = Some((attacker, repair));
        let verdict = judge(&self.name, &all, anchors, headline)?;
        Ok((all, verdict))
    }
}
