"""What PEFT computes with a LoRA adapter, for tests/peft.rs. Needs torch, transformers, peft and safetensors.

peft_logits.py make OUT MODEL...   saves a random adapter for every model in OUT/<model's folder name>
peft_logits.py read OUT MODEL...   loads the adapter of every model from there
Both write the logits [tokens, vocabulary] of TOKENS ids into logits.safetensors beside the adapter.
"""

import pathlib
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

TOKENS = 24


def layer_projections(model):
    """Last parts of the names of all linear modules inside numbered layers."""
    linear = (torch.nn.Linear, Conv1D)
    names = [name.split(".") for name, module in model.named_modules() if isinstance(module, linear)]
    return sorted({parts[-1] for parts in names if any(part.isdigit() for part in parts)})


def make(model, folder):
    torch.manual_seed(1)
    config = LoraConfig(
        r=4,
        lora_alpha=6,
        lora_dropout=0.1,
        use_rslora=len(folder.name) % 2 == 0,
        target_modules=layer_projections(model),
        task_type="CAUSAL_LM",
        init_lora_weights=False,
    )
    adapted = get_peft_model(model, config)
    adapted.save_pretrained(folder)
    return adapted


def main():
    action, out, *directories = sys.argv[1:]
    for directory in map(pathlib.Path, directories):
        model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")
        folder = pathlib.Path(out) / directory.name
        adapted = make(model, folder) if action == "make" else PeftModel.from_pretrained(model, folder)
        ids = torch.tensor([[(7 * i + 3) % 97 for i in range(TOKENS)]])
        with torch.no_grad():
            logits = adapted.eval()(input_ids=ids).logits[0]
        save_file({"logits": logits.contiguous()}, folder / "logits.safetensors")


main()
