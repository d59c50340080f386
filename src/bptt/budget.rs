//! How many bytes the engine takes, and the plan that keeps it within a budget.

use super::Bptt;
use super::pass::{Pass, SHARD};
use super::plan::Plan;
use crate::blocks::{COPIES, block_steps, in_blocks};
use crate::kernel::threads::with_at_hand;
use crate::memory::bytes;
use crate::model::Model;
use crate::optim::Optimizer;
use crate::{Error, Memory, State};

/// A round figure for all the objects of an engine that have a fixed size, and for those of each further thread.
const OBJECTS: usize = 4 << 10;
const OF_A_THREAD: usize = 16 << 10;

/// Rows (steps times batch) beyond which no number of bytes is computed, since it might not be one.
const MOST_ROWS: usize = isize::MAX as usize >> 24;

/// What a window of this shape takes, but for its leaves.
struct Bill {
    /// Whatever the plan.
    fixed: usize,
    /// Of one state of all rows.
    state: usize,
}

impl<M: Model, L, O: Optimizer<M>> Bptt<M, L, O> {
    /// The bytes that the engine holds at the peak of training on `steps` steps of `batch` rows, computed before anything is
    /// run: the model, its gradients, what the optimiser keeps, the state and its gradient, the outputs of a window and
    /// their gradient, the tape (each layer documents its own), and the working memory of passes over all threads. With
    /// [`memory_budget`](crate::BpttBuilder::memory_budget), by the plan that fits the budget.
    ///
    /// Not counted are the caller's own: inputs, targets, what a closure loss or [`predict`](Bptt::predict) makes. It is the
    /// figure of an engine that has seen no larger batch: buffers are kept from window to window. Small objects are
    /// in it as a round sum; stacks of threads and the allocator's own overhead are not.
    ///
    /// # Errors
    /// If a layer of the model does not tell its memory, the budget is too small, or there are more steps and rows than
    /// could be counted.
    pub fn memory_estimate(&self, steps: usize, batch: usize) -> Result<usize, Error> {
        let steps = steps.min(self.window.unwrap_or(steps));
        if steps == 0 || batch == 0 {
            return Ok(self.standing());
        }
        if steps.checked_mul(batch).is_none_or(|rows| rows > MOST_ROWS) {
            let expected = format!("at most {MOST_ROWS} rows in all");
            return Err(Error::value("steps", expected, format!("{steps} of {batch} rows")));
        }
        let plan = self.new_plan(steps, batch)?;
        let Bill { fixed, state } = self.bill(steps, batch);
        let leaf = self.leaf(plan.leaf(), batch, self.block(steps, batch)).ok_or_else(untold)?;
        Ok(fixed.saturating_add(state.saturating_mul(plan.states())).saturating_add(leaf))
    }

    /// The plan for a window of this shape. With a budget, what the engine holds of windows that do not fit it is freed.
    pub(super) fn plan(&mut self, steps: usize, batch: usize) -> Result<Plan, Error> {
        if self.budget.is_none() {
            return Ok(Plan::whole(steps));
        }
        if let Some((plan, rows)) = self.plan
            && rows == batch
            && steps <= plan.steps()
        {
            return Ok(plan.shorter(steps));
        }
        let plan = self.new_plan(steps, batch)?;
        self.pass = Pass::default();
        self.next = None;
        self.threads.free_memory();
        self.plan = Some((plan, batch));
        Ok(plan)
    }

    fn new_plan(&self, steps: usize, batch: usize) -> Result<Plan, Error> {
        let Some(budget) = self.budget else { return Ok(Plan::whole(steps)) };
        let Bill { fixed, state } = self.bill(steps, batch);
        let block = self.block(steps, batch);
        self.leaf(1, batch, block).ok_or_else(untold)?;
        let leaf = |steps| self.leaf(steps, batch, block).unwrap_or(usize::MAX);
        let block = block.unwrap_or(usize::MAX);
        let plan = budget.checked_sub(fixed).map_or_else(
            || Err(Plan::fit(steps, block, 0, state, &leaf).err().unwrap_or(0)),
            |room| Plan::fit(steps, block, room, state, &leaf),
        );
        plan.map_err(|smallest| {
            let least = fixed.saturating_add(smallest);
            let expected = format!("at least {least} bytes for {steps} steps of {batch} rows");
            Error::value("memory_budget", expected, budget)
        })
    }

    /// The model, its gradients, what the optimiser keeps, small objects.
    fn standing(&self) -> usize {
        let params = bytes::<M::Elem>(self.model.num_params());
        let objects = OBJECTS + (self.threads.number() - 1) * OF_A_THREAD;
        params.saturating_mul(2).saturating_add(self.optimizer.memory(&self.model)).saturating_add(objects)
    }

    fn bill(&self, steps: usize, batch: usize) -> Bill {
        let mut width = 0;
        let mut arrays = 0;
        self.model.zero_state(1).visit(&mut |array| {
            width += array.ncols();
            arrays += 1;
        });
        let of_rows = |rows: usize| bytes::<M::Elem>(width.saturating_mul(rows));
        let headers = size_of::<M::State>() + arrays * size_of::<ndarray::Array2<M::Elem>>();
        let outputs = steps.saturating_mul(batch).saturating_mul(self.model.output_size());
        let outputs = bytes::<M::Elem>(outputs).saturating_mul(2);
        // The state after the last window, the one being made, and a gradient; a row that a loss makes its sums of.
        let row = bytes::<M::Elem>(self.model.output_size());
        let fixed = [self.standing(), of_rows(batch).saturating_mul(3), outputs, row];
        let mut fixed = fixed.into_iter().fold(0_usize, usize::saturating_add);
        let mut state = of_rows(batch).saturating_add(headers);
        if !self.model.splits_itself() {
            // Each shard has gradients, outputs and a state of its own.
            let shards = batch.div_ceil(SHARD);
            let grads = bytes::<M::Elem>(self.model.num_params()).saturating_mul(shards);
            fixed = fixed.saturating_add(grads).saturating_add(outputs).saturating_add(of_rows(batch));
            state = of_rows(batch).saturating_add(headers.saturating_mul(shards));
        }
        if self.block(steps, batch).is_some() {
            let passes = if self.model.splits_itself() { 1 } else { batch.div_ceil(SHARD) };
            fixed = fixed.saturating_add(bytes::<M::Elem>(self.model.num_params()).saturating_mul(COPIES * passes));
        }
        Bill { fixed, state }
    }

    /// Rows that go through a window side by side in one pass.
    fn rows_of_a_pass(&self, batch: usize) -> usize {
        if self.model.splits_itself() { batch } else { batch.min(SHARD) }
    }

    /// Steps of a block of a window, where it is run block by block.
    fn block(&self, steps: usize, batch: usize) -> Option<usize> {
        let rows = self.rows_of_a_pass(batch);
        (in_blocks(steps, rows) && self.model.runs_in_pieces()).then(|| block_steps(rows))
    }

    /// As the model tells, for steps that are run block by block.
    fn memory(&self, steps: usize, batch: usize, block: Option<usize>) -> Option<Memory> {
        let Some(block) = block.filter(|block| steps > *block) else { return self.model.run_memory(steps, batch) };
        let (one, last) = (self.model.run_memory(block, batch)?, self.model.run_memory(steps % block, batch)?);
        Some(Memory { tape: one.tape.saturating_mul(steps / block).saturating_add(last.tape), ..one })
    }

    /// Tapes and working memory for leaves of so many steps.
    fn leaf(&self, steps: usize, batch: usize, block: Option<usize>) -> Option<usize> {
        let threads = self.threads.number();
        if self.model.splits_itself() {
            let memory = with_at_hand(threads, || self.memory(steps, batch, block))?;
            return Some(memory.tape.saturating_add(memory.forward.or(memory.backward).bytes_over(threads)));
        }
        let (shards, rest) = (batch / SHARD, batch % SHARD);
        let of = |rows: usize| with_at_hand(1, || self.memory(steps, rows, block));
        let (full, last) = (of(SHARD)?, of(rest)?);
        let tapes = full.tape.saturating_mul(shards).saturating_add(if rest > 0 { last.tape } else { 0 });
        let work = |memory: Memory| memory.forward.or(memory.backward).bytes();
        let last_at_work = if rest > 0 && threads > shards { work(last) } else { 0 };
        Some(tapes.saturating_add(work(full).saturating_mul(shards.min(threads))).saturating_add(last_at_work))
    }
}

/// The error of a model that does not tell.
pub(super) fn untold() -> Error {
    Error::value("model", "layers that all tell their memory, by `Recurrent::memory`", "one that does not")
}
