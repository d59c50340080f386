//! How many bytes the engine takes, and the plan that keeps it within a budget.

use super::Backprop;
use super::pass::{Pass, SHARD};
use super::plan::Plan;
use crate::blocks::{COPIES, block_steps, in_blocks};
use crate::kernel::threads::{cores, with_available};
use crate::memory::bytes;
use crate::{Error, Memory, Params, PassSize, SeqLayer, State};

/// Whether the inputs are rows of numbers or tokens, how many, and what else there is beside the passes.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) steps: usize,
    pub(crate) batch: usize,
    pub(crate) rows_in: bool,
    /// Bytes that are held anyway: the network, gradients, what an optimiser keeps.
    pub(crate) standing: usize,
}

/// A round figure for all the objects of an engine that have a fixed size, for those of each further thread, and for each array of the
/// model beyond a few: its name and its place in a list of views that doubles as it grows.
const OBJECTS: usize = 4 << 10;
const OF_A_THREAD: usize = 16 << 10;
const OF_AN_ARRAY: usize = 192;
const FEW_ARRAYS: usize = 4;

/// Rows (steps times batch) beyond which no number of bytes is computed, since it might not be one.
const MOST_ROWS: usize = isize::MAX as usize >> 24;

/// What a window of this shape takes, but for its segments.
struct Costs {
    /// Whatever the plan.
    fixed: usize,
    /// Of one state of all rows.
    state: usize,
}

/// The bytes of small objects, for so many threads, of which no more are started than there are cores.
pub(crate) fn objects(params: &impl Params, threads: usize) -> usize {
    let mut arrays = 0_usize;
    params.visit(&mut |_, _| arrays += 1);
    OBJECTS + (threads.min(cores().max(2)) - 1) * OF_A_THREAD + arrays.saturating_sub(FEW_ARRAYS) * OF_AN_ARRAY
}

impl<L: SeqLayer> Backprop<L> {
    /// Bytes at the peak of a window of this shape.
    pub(crate) fn estimate(&self, net: &L, shape: Shape) -> Result<usize, Error> {
        let Shape { steps, batch, standing, .. } = shape;
        if steps == 0 || batch == 0 {
            return Ok(standing);
        }
        if steps.checked_mul(batch).is_none_or(|rows| rows > MOST_ROWS) {
            let expected = format!("at most {MOST_ROWS} rows in all");
            return Err(Error::value("steps", expected, format!("{steps} of {batch} rows")));
        }
        let plan = self.new_plan(net, shape)?;
        let Costs { fixed, state } = self.costs(net, shape);
        let segment = self.segment(net, plan.segment(), shape).ok_or_else(unknown_memory)?;
        Ok(fixed.saturating_add(state.saturating_mul(plan.states())).saturating_add(segment))
    }

    /// The plan for a window of this shape, and whether it is a new one. With a budget, what is held of windows that do not fit it
    /// is freed.
    pub(crate) fn plan(&mut self, net: &L, shape: Shape) -> Result<(Plan, bool), Error> {
        let Shape { steps, batch, .. } = shape;
        if self.budget.is_none() {
            return Ok((Plan::whole(steps), false));
        }
        if let Some((plan, rows)) = self.plan
            && rows == batch
            && steps <= plan.steps()
        {
            return Ok((plan.shorter(steps), false));
        }
        let plan = self.new_plan(net, shape)?;
        self.pass = Pass::default();
        self.threads.free_memory();
        self.plan = Some((plan, batch));
        Ok((plan, true))
    }

    fn new_plan(&self, net: &L, shape: Shape) -> Result<Plan, Error> {
        let Shape { steps, batch, .. } = shape;
        let Some(budget) = self.budget else { return Ok(Plan::whole(steps)) };
        let Costs { fixed, state } = self.costs(net, shape);
        self.segment(net, 1, shape).ok_or_else(unknown_memory)?;
        let segment = |steps| self.segment(net, steps, shape).unwrap_or(usize::MAX);
        let block = self.block(net, shape).unwrap_or(usize::MAX);
        let plan = budget.checked_sub(fixed).map_or_else(
            || Err(Plan::fit(steps, block, 0, state, &segment).err().unwrap_or(0)),
            |room| Plan::fit(steps, block, room, state, &segment),
        );
        plan.map_err(|smallest| {
            let least = fixed.saturating_add(smallest);
            let expected = format!("at least {least} bytes for {steps} steps of {batch} rows");
            Error::value("memory_budget", expected, budget)
        })
    }

    fn costs(&self, net: &L, shape: Shape) -> Costs {
        let Shape { steps, batch, standing, .. } = shape;
        let mut width = 0;
        let mut arrays = 0;
        net.zero_state(1).visit(&mut |array| {
            width += array.ncols();
            arrays += 1;
        });
        let of_rows = |rows: usize| bytes::<L::Elem>(width.saturating_mul(rows));
        let headers = size_of::<L::State>() + arrays * size_of::<ndarray::Array2<L::Elem>>();
        let outputs = net.output_steps(steps).saturating_mul(batch).saturating_mul(net.output_size());
        let outputs = bytes::<L::Elem>(outputs).saturating_mul(2);
        // The state after the last window, the one being made, and a gradient; a row that a loss makes its sums of; a state of one row.
        let row = bytes::<L::Elem>(net.output_size());
        let fixed = [standing, of_rows(batch).saturating_mul(3), outputs, row, of_rows(1), headers];
        let mut fixed = fixed.into_iter().fold(0_usize, usize::saturating_add);
        let mut state = of_rows(batch).saturating_add(headers);
        if !net.splits_itself() {
            // Each shard has gradients, outputs, a state and its gradient of its own.
            let shards = batch.div_ceil(SHARD);
            let grads = bytes::<L::Elem>(net.num_params()).saturating_mul(shards);
            fixed =
                fixed.saturating_add(grads).saturating_add(outputs).saturating_add(of_rows(batch).saturating_mul(2));
            state = of_rows(batch).saturating_add(headers.saturating_mul(shards));
        }
        if self.block(net, shape).is_some() {
            let passes = if net.splits_itself() { 1 } else { batch.div_ceil(SHARD) };
            fixed = fixed.saturating_add(bytes::<L::Elem>(net.num_params()).saturating_mul(COPIES * passes));
        }
        Costs { fixed, state }
    }

    /// Steps of a block of a window, where it is run block by block.
    fn block(&self, net: &L, Shape { steps, batch, .. }: Shape) -> Option<usize> {
        // Rows that go through a window side by side in one pass.
        let rows = if net.splits_itself() { batch } else { batch.min(SHARD) };
        (in_blocks(steps, rows) && net.is_causal()).then(|| block_steps(rows))
    }

    /// As the network tells, for steps that are run block by block.
    fn memory(net: &L, steps: usize, batch: usize, block: Option<usize>, rows_in: bool) -> Option<Memory> {
        // The engine asks for no gradient of the input.
        let tell = |steps| net.memory(PassSize { tokens: !rows_in, ..PassSize::of(steps, batch).without_d_x() });
        let Some(block) = block.filter(|block| steps > *block) else { return tell(steps) };
        let (one, last) = (tell(block)?, tell(steps % block)?);
        Some(Memory { tape: one.tape.saturating_mul(steps / block).saturating_add(last.tape), ..one })
    }

    /// Tapes and working memory for segments of so many steps of a window of this shape.
    fn segment(&self, net: &L, steps: usize, shape: Shape) -> Option<usize> {
        let (threads, block) = (self.threads.number(), self.block(net, shape));
        let Shape { batch, rows_in, .. } = shape;
        let pass = |threads: usize, rows: usize| {
            let tell = || with_available(threads, || Self::memory(net, steps, rows, block, rows_in));
            self.threads.operands().with(tell)
        };
        if net.splits_itself() {
            let memory = pass(threads, batch)?;
            return Some(memory.tape.saturating_add(memory.forward.or(memory.backward).bytes_over(threads)));
        }
        let (shards, rest) = (batch / SHARD, batch % SHARD);
        let (full, last) = (pass(1, SHARD)?, pass(1, rest)?);
        let tapes = full.tape.saturating_mul(shards).saturating_add(if rest > 0 { last.tape } else { 0 });
        let work = |memory: Memory| memory.forward.or(memory.backward).bytes();
        let last_at_work = if rest > 0 && threads > shards { work(last) } else { 0 };
        Some(tapes.saturating_add(work(full).saturating_mul(shards.min(threads))).saturating_add(last_at_work))
    }
}

/// The error of a model that does not tell.
pub(crate) fn unknown_memory() -> Error {
    Error::value("model", "layers that all tell their memory, by `Recurrent::memory`", "one that does not")
}
