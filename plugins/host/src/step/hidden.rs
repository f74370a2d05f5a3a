//! What a step tells of layers' outputs. It refuses the original's to methods that do not declare it.

use harness_abi::{Handle, Positions, Role};

use super::Step;
use crate::error::plain;
use crate::fault::{Computed, Fault};
use crate::source::Model;

impl Step<'_> {
    pub(crate) fn squared_distance(
        &self,
        role: Role,
        positions: Positions,
        layer: u32,
        target: Handle,
    ) -> Computed {
        const NAME: &str = "squared_distance";
        let lengths = self.lengths(NAME, role, positions)?;
        let target = if target == Handle::NONE {
            self.permit(NAME, Model::Reference, role)?;
            None
        } else {
            Some(self.input(NAME, target)?)
        };
        let width = self.source.hidden_width();
        if let Some(target) = target.as_ref().filter(|target| target.dims() != [width]) {
            let cause = format!(
                "shape {:?} does not fit hidden states of {width}",
                target.dims()
            );
            return Err(Fault::new(NAME, cause));
        }
        let layer = layer as usize;
        let values = self
            .source
            .hidden_squared_distance(role, positions, layer, target.as_ref())
            .map_err(|error| Fault::new(NAME, plain(&error)))?;
        self.provided(NAME, role, Ok(values), lengths.iter().sum())
    }

    pub(crate) fn hidden_length(
        &self,
        model: Model,
        role: Role,
        positions: Positions,
        layer: u32,
    ) -> Computed {
        const NAME: &str = "length";
        self.permit(NAME, model, role)?;
        let lengths = self.lengths(NAME, role, positions)?;
        let values = self
            .source
            .hidden_length(model, role, positions, layer as usize)
            .map_err(|error| Fault::new(NAME, plain(&error)))?;
        let values = match model {
            Model::Policy => values,
            Model::Reference | Model::Spawned(_) => values.detach(),
        };
        self.provided(NAME, role, Ok(values), lengths.iter().sum())
    }
}
