"""gunicorn's settings for the peers: those of the service, without what only its app understands."""

import runpy
from pathlib import Path

settings = runpy.run_path(str(Path(__file__).parent.parent / "gunicorn.conf.py"))
del settings["post_worker_init"], settings["chdir"]
globals().update({name: value for name, value in settings.items() if not name.startswith("_")})
