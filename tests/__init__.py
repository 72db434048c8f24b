import gc

from fashion_hpo.terminal.command_line import COLLECT_AFTER

gc.set_threshold(*COLLECT_AFTER)  # as every command does
