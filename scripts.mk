# Debian packages: installed by apt where that is allowed; otherwise the exact command is named.
# $(call debian,PACKAGES,needed|wanted)
define debian
@missing=(); for package in $(1); do \
  dpkg-query -W -f='$${Status}' "$$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$$package"); done; \
if [ $${#missing[@]} -gt 0 ]; then \
  if [ "$$(id -u)" = 0 ]; then as_root=(); else as_root=(sudo -n); fi; \
  if command -v apt-get >/dev/null && { [ "$$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; then \
    echo "installing $${missing[*]}"; \
    { "$${as_root[@]}" apt-get update -qq && \
      "$${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$${missing[@]}" >/dev/null; } \
      && exit 0 || echo "apt-get could not install them" >&2; \
  fi; \
  echo "missing: $${missing[*]}. Type: sudo apt-get install $${missing[*]}" >&2; \
  [ $(2) = wanted ] || exit 1; \
fi
endef

.PHONY: packages-run packages-test packages-journeys
packages-run:
	$(call debian,$(RUN_PACKAGES),wanted)

packages-test:
	$(call debian,$(TEST_PACKAGES),needed)

packages-journeys:
	$(call debian,$(JOURNEY_PACKAGES),needed)
