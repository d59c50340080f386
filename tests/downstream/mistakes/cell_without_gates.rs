// says: the trait `Pointwise` must be implemented
use deep_rnn::prelude::*;

fn main() -> Result<(), Error> {
    #[derive(Clone, Debug)]
    struct Own;
    deep_rnn::cells::GatedSpec::<f32, Own>::new(Own, 4);
    Ok(())
}
