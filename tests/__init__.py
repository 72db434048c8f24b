import gc

from fashion_hpo.reporting.command_line import COLLECT_AFTER

gc.set_threshold(*COLLECT_AFTER)  # as every command does
