"""Auto-annotation functions for CVAT: `pip install 'unipixel[cvat]'`, then give CVAT's command line or
agent the module `unipixel.cvat.detection` or `unipixel.cvat.tracking` (docs/archives.md).

    cvat-cli task auto-annotate 41 --function-module unipixel.cvat.detection -p "labels=str:red circle;dog"
    cvat-cli function create-native UniPixel --function-module unipixel.cvat.tracking
"""
