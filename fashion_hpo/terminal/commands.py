"""The commands: the name of each, which is its module's, and its purpose."""

COMMANDS = {
    "study": "run a study, or resume it",
    "status": "show the progress of a study",
    "report": "rebuild a study's report page",
    "claims": "show the verdicts on the reports' claims",
    "register": "test and register a study's best model",
    "replay": "train a logged trial again and compare it bit for bit",
    "predict": "classify an image with the champion",
    "serve": "serve the champion over HTTP, for this machine alone",
    "train": "train one config, without a study",
    "augment": "draw what each augmentation does to training images",
    "doctor": "check and mend the store",
    "delete": "delete a study's results",
    "gc": "show the disk that studies take, and remove what may go",
    "store": "move a store to databases that several machines share",
    "ui": "open the MLflow UI on the store",
    "completion": "print a shell's completion of these commands",
    "calibration": "check intervals and verdicts on simulated studies",
    "bench": "measure the trainer's speed and the logging's cost",
}
