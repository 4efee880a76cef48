from etils import epath as epath
