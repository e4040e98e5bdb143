"""Print the page docs/networks.md: ``python -m unet > docs/networks.md``."""

from unet.summary import page

if __name__ == "__main__":
    print(page(), end="")
