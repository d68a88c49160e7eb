# The build of Moonwire. `make help` lists the targets.
#
# A folder of src/ is a layer: a static library that is compiled with an include path on which only the layers
# below it can be found. Every variant of the build (release, sanitizers, ...) has a folder of its own.

MAKEFLAGS += -rR --no-print-directory
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

BUILD := build
VARIANT := release
PREFIX := /usr/local
UNITS = $(units) $(targets:%=%_fuzz)
SPECS := spec
FUZZ = $(targets) api
SECONDS := 60
STRIDE := 1

# --- The layers, lowest first: what each sees of ours, and which foreign headers it may include -------------------

layers := base loop proto net proc script worker
sees_base := base
sees_loop := base loop
sees_proto := base proto
sees_net := base loop proto net
sees_proc := base loop proto net proc
sees_script := base loop proto net script
sees_worker := base loop proto net script worker
foreign_loop := ev.h
foreign_proto := zlib.h brotli/ pcre2.h
foreign_net := ev.h ares.h openssl/ lmdb.h
foreign_proc := ev.h seccomp.h
foreign_script := ev.h ares.h openssl/ histedit.h lua.h lauxlib.h lualib.h luaconf.h
foreign_worker := lua.h lauxlib.h

sources := $(sort $(wildcard src/*.c src/*/*.c))
headers := $(sort $(wildcard src/*.h src/*/*.h))
lua_headers := $(shell pkg-config --cflags lua5.4 2>/dev/null || echo -I/usr/include/lua5.4)

# --- The variants -------------------------------------------------------------------------------------------------

folder_release := $(BUILD)
folder_test := $(BUILD)/test
folder_asan := $(BUILD)/asan
folder_tsan := $(BUILD)/tsan
folder_coverage := $(BUILD)/coverage
folder_fuzz := $(BUILD)/fuzz
folder_gcc := $(BUILD)/gcc-werror
folder_clang := $(BUILD)/clang
out := $(or $(folder_$(VARIANT)),$(error there is no variant $(VARIANT)))

ifneq ($(filter default undefined,$(origin CC)),)
CC := gcc
endif
ifneq ($(filter gcc clang,$(VARIANT)),)
override CC := $(VARIANT)
else ifeq ($(VARIANT),fuzz)
override CC := clang
endif

# Only the optimised variants have FORTIFY_SOURCE: it renames recv and the like, which unit tests replace.
optimised := -O2 -g -fno-semantic-interposition -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
flags_release := $(optimised) $(if $(findstring clang,$(CC)),,-flto=auto)
flags_test := -O1 -g
flags_asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
# Lua leaves functions by _longjmp, which ThreadSanitizer does not see: its own stack would overflow.
flags_tsan := -O1 -g -fno-omit-frame-pointer -fsanitize=thread --param tsan-instrument-func-entry-exit=0
flags_coverage := -O0 -g --coverage
flags_fuzz := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
flags_gcc := $(optimised) -Werror
flags_clang := $(optimised) -Werror

standard := -std=c11 -D_GNU_SOURCE
warnings := -Wall -Wextra -Werror=incompatible-pointer-types -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
compile_flags = $(standard) $(warnings) -fPIE -fstack-protector-strong $(flags_$(VARIANT)) \
  -ffile-prefix-map=$(CURDIR)=. $(CFLAGS)
link_flags := -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--as-needed $(LDFLAGS)
archiver := $(if $(findstring clang,$(CC)),ar,gcc-ar)

# All of Lua goes into the binary, and its names are visible to C modules that scripts require; nothing else is.
lua_whole := -Wl,--whole-archive -l:liblua5.4.a -Wl,--no-whole-archive \
  $(foreach name,lua_* luaL_* luaopen_*,'-Wl,--export-dynamic-symbol=$(name)')
# The line editor of the prompt, in the binary: a server needs none of it.
editline := -l:libedit.a -l:libtinfo.a -l:libbsd.a -l:libmd.a
libraries := -l:libev.a $(lua_whole) $(editline) -lcares -lssl -lcrypto -lz -lbrotlienc -lbrotlidec -lpcre2-8 -llmdb -lseccomp -lm -ldl

# --- Saying what is done: V=1 shows whole commands ----------------------------------------------------------------

tag := $(if $(filter release,$(VARIANT)),,[$(VARIANT)] )
ifdef V
say =
else
say = @echo "  $1 $(tag)$2";
endif

# --- Building -----------------------------------------------------------------------------------------------------

.PHONY: all objects units tidy FORCE

all: $(out)/moonwire ## build the release binary build/moonwire (V=1 shows whole commands)

# Writes $1 into the target if that is not what it holds, so that what depends on it is remade on a change only.
define hold
@mkdir -p $(@D); echo "$1" | cmp -s - $@ || echo "$1" >$@
endef

$(out)/settings: FORCE
	$(call hold,$(CC) $(compile_flags) $(link_flags) $(archives) $(libraries))

$(out)/packages.ok: .make/packages
	@mkdir -p $(@D) && sh $< --check build && touch $@

layer_rules := $(foreach l,$(layers),"$l: $(sees_$l): $(foreign_$l)")

$(out)/layers.ok: .make/layers Makefile $(sources) $(headers)
	@mkdir -p $(@D) && sh $< $(layer_rules) && touch $@

compile = $(CC) $(compile_flags) $(includes) -frandom-seed=$< -MMD -MP -c -o $@ $<
before_compiling := $(out)/packages.ok $(out)/layers.ok

$(out)/obj/%.o: src/%.c $(out)/settings | $(before_compiling)
	@mkdir -p $(@D)
	$(call say,CC  ,$<)$(compile)

main_objects := $(patsubst src/%.c,$(out)/obj/%.o,$(sort $(wildcard src/*.c)))
$(main_objects): includes := -Isrc $(lua_headers)

# The folder include/LAYER holds links to the layers that it sees.
links = $(foreach l,$(sees_$1),$(if $(wildcard src/$l),$(out)/include/$1/$l))
all_links := $(foreach l,$(layers),$(call links,$l))

$(all_links):
	@mkdir -p $(@D) && ln -srfn src/$(@F) $@

path_to = -I$(out)/include/$1 -ffile-prefix-map=$(out)/include/$1/=src/ $(if $(filter script worker,$1),$(lua_headers))

define layer
objects_$1 := $(patsubst src/%.c,$(out)/obj/%.o,$(sort $(wildcard src/$1/*.c)))
archive_$1 := $(if $(wildcard src/$1/*.c),$(out)/lib/mw_$1.a)
$$(objects_$1): includes := $(call path_to,$1)
$$(objects_$1): | $(call links,$1)
$(out)/lib/mw_$1.a: $$(objects_$1)
$(out)/lib/mw_$1.list: members := $$(objects_$1)
endef
$(foreach l,$(layers),$(eval $(call layer,$l)))

$(out)/lib/%.list: FORCE
	$(call hold,$(members))

$(out)/lib/%.a: $(out)/lib/%.list
	$(call say,AR  ,$@)rm -f $@ && $(archiver) rcsD $@ $(filter %.o,$^)

highest_first := worker script proc net proto loop base
archives := $(foreach l,$(highest_first),$(archive_$l))

$(out)/moonwire: $(main_objects) $(archives) $(out)/settings
	$(call say,LINK,$@)$(CC) $(compile_flags) $(link_flags) -o $@ $(main_objects) $(archives) $(libraries)

objects: $(patsubst src/%.c,$(out)/obj/%.o,$(sources))

# --- C unit tests -------------------------------------------------------------------------------------------------
# A test names in comments the layers it is linked with, and the system calls that it replaces:
#   /* layers: loop base */   /* wrap: recv send */

units := $(patsubst spec/c/%.c,%,$(sort $(wildcard spec/c/*_test.c)))
notes := $(if $(units),$(shell awk '/^\/\* *(layers|wrap):/ { file = FILENAME; gsub(/.*\/|\.c$$/, "", file); \
  for (i = 3; i < NF; i++) print file "/" $$2 $$i }' $(units:%=spec/c/%.c)))
noted = $(patsubst $1/$2:%,%,$(filter $1/$2:%,$(notes)))

test_libraries_loop := -l:libev.a -lm
test_libraries_proto := -lz -lbrotlienc -lbrotlidec -lpcre2-8
test_libraries_net := -l:libcares.a -lssl -lcrypto -llmdb
test_libraries_proc := -lseccomp
test_libraries_script := $(lua_whole) $(editline) -lm -ldl

support_objects := $(patsubst spec/c/%.c,$(out)/obj/spec/c/%.o,$(sort $(wildcard spec/c/support/*.c)))
support := $(if $(support_objects),$(out)/lib/support.a)
$(support_objects): includes := -Ispec/c -Isrc $(lua_headers)
$(out)/lib/support.a: $(support_objects)
$(out)/lib/support.list: members := $(support_objects)
wrapped := $(if $(support),malloc calloc realloc)

$(out)/obj/spec/%.o: spec/%.c $(out)/settings | $(before_compiling) $(all_links)
	@mkdir -p $(@D)
	$(call say,CC  ,$<)$(compile)

# The members of the support archive call ours and ours call them: hence the group. What writes the counts of coverage
# allocates, too, but comes later.
count_flags := $(if $(and $(support),$(filter coverage,$(VARIANT))),-u __wrap_malloc)

define unit
$(out)/obj/spec/c/$1.o: includes := -Ispec/c $(foreach l,$(call noted,$1,layers),$(call path_to,$l))
$(out)/spec/$1: wrap := $(foreach f,$(wrapped) $(call noted,$1,wrap),-Wl,--wrap=$f)
$(out)/spec/$1: with := $(foreach l,$(call noted,$1,layers),$(test_libraries_$l))
$(out)/spec/$1: $(out)/obj/spec/c/$1.o $(support) $(foreach l,$(call noted,$1,layers),$(archive_$l)) $(out)/settings
endef
$(foreach u,$(units),$(eval $(call unit,$u)))

$(units:%=$(out)/spec/%):
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(compile_flags) $(link_flags) $(wrap) $(count_flags) -o $@ $(filter %.o,$^) \
	  -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(with) -lcmocka

# --- Fuzz targets -------------------------------------------------------------------------------------------------
# A C file of spec/fuzz is a target and names its layers as a unit test does. It is linked with a driver of ours, which
# replays its corpus, and is one of the unit tests then; in the variant fuzz with libFuzzer.

targets := $(filter-out replay,$(patsubst spec/fuzz/%.c,%,$(sort $(wildcard spec/fuzz/*.c))))
target_notes := $(shell awk '/^\/\* *layers:/ { file = FILENAME; gsub(/.*\/|\.c$$/, "", file); \
  for (i = 3; i < NF; i++) print file "/" $$i }' $(targets:%=spec/fuzz/%.c))
target_layers = $(patsubst $1/%,%,$(filter $1/%,$(target_notes)))
driver := $(if $(filter fuzz,$(VARIANT)),-fsanitize=fuzzer,$(out)/obj/spec/fuzz/replay.o)

define target
$(out)/obj/spec/fuzz/$1.o: includes := -Ispec/fuzz $(foreach l,$(call target_layers,$1),$(call path_to,$l))
$(out)/spec/$1_fuzz: with := $(foreach l,$(call target_layers,$1),$(test_libraries_$l))
$(out)/spec/$1_fuzz: $(out)/obj/spec/fuzz/$1.o $(foreach l,$(call target_layers,$1),$(archive_$l)) $(out)/settings
endef
$(foreach t,$(targets),$(eval $(call target,$t)))
$(out)/obj/spec/fuzz/replay.o: includes := -Ispec/fuzz

$(targets:%=$(out)/spec/%_fuzz): $(filter %.o,$(driver))
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(compile_flags) $(link_flags) -o $@ $(filter %.o,$^) $(filter-out %.o,$(driver)) \
	  -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(with)

# The stamp says that every test there is was built: an old binary must not stand in for one that does not compile.
units: $(UNITS:%=$(out)/spec/%)
	@mkdir -p $(out)/spec && touch $(out)/spec/.built

# --- Running and testing ------------------------------------------------------------------------------------------

.PHONY: run test test-foreign asan tsan tsan-suites coverage fuzz faults soak reloads bench

run: ## install what is missing, build, and start the demo (ARGS= goes to the script)
	@sh .make/packages build run
	@$(MAKE) all
	@exec $(BUILD)/moonwire run examples/demo.lua $(if $(ARGS),-- $(ARGS))

# Unit tests that do not compile count as a failure; the others still run.
build_units = rm -f $(folder_$1)/spec/.built; $(MAKE) -k VARIANT=$1 units
suites = MOONWIRE=$(abspath $1/moonwire) sh .make/suites $2 "$(SPECS)" $(UNITS)

test: ## install what is missing, build, and run all tests (UNITS=buf_test SPECS=spec/net run a part)
	@sh .make/packages build run test
	@$(MAKE) all
	-+@$(call build_units,test)
	@$(call suites,$(folder_release),$(folder_test)/spec)

test-foreign: ## what programs of others make of us: browser, scanners, servers and proxies (SPECS=spec/foreign/x_spec.lua)
	@sh .make/packages build run test foreign
	@$(MAKE) all
	@MOONWIRE=$(abspath $(BUILD)/moonwire) sh .make/suites $(folder_test)/spec \
	  "$(if $(filter file,$(origin SPECS)),spec/foreign,$(SPECS))"

asan: ## all tests under AddressSanitizer and UBSan, with leak check
	@sh .make/packages build run test
	@$(MAKE) VARIANT=asan all
	-+@$(call build_units,asan)
	@ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1:$$ASAN_OPTIONS \
	  UBSAN_OPTIONS=print_stacktrace=1:$$UBSAN_OPTIONS $(call suites,$(folder_asan),$(folder_asan)/spec)

# What threads touch, unless UNITS and SPECS choose.
tsan_units := $(if $(filter file,$(origin UNITS)),pool_test file_test,$(UNITS))
tsan_specs := $(if $(filter file,$(origin SPECS)),spec/file spec/data/crypto_spec.lua,$(SPECS))

tsan: ## the tests of what threads do, under ThreadSanitizer
	@sh .make/packages build run test
	@$(MAKE) VARIANT=tsan all
	@$(MAKE) UNITS="$(tsan_units)" SPECS="$(tsan_specs)" tsan-suites

# The specs run in one process, whose threads are there before its first child: ThreadSanitizer takes what a child does before
# it runs its program for the parent's, and knows no locks of the parent any more.
tsan-suites: export MOONWIRE := $(abspath $(folder_tsan)/moonwire)
tsan-suites: export TSAN_OPTIONS := halt_on_error=1:die_after_fork=0:$(TSAN_OPTIONS)
tsan-suites:
	-+@$(call build_units,tsan)
	@sh .make/suites $(folder_tsan)/spec "" $(UNITS)
	@$(if $(SPECS),$(folder_tsan)/moonwire test $(SPECS))

# Workers of a daemon that root starts are somebody else: they may add to the counts, too.
shared_counts = find $1 -name '*.gcno' | sed 's/gcno$$/gcda/' | while read -r file; do : >"$$file"; chmod 666 "$$file"; done

coverage: ## lines and branches of src/ that the tests reach: fails below 85 % and 75 %
	@sh .make/packages build run test coverage
	@$(MAKE) VARIANT=coverage all
	-+@$(call build_units,coverage)
	@$(call shared_counts,$(folder_coverage))
	-@$(call suites,$(folder_coverage),$(folder_coverage)/spec)
	@find $(folder_coverage) -name '*.gcda' -empty -delete
	@sh .make/coverage $(folder_coverage)

fuzz: ## look for inputs that break something (FUZZ="addr api" SECONDS=600, or RUNS=10000: the same each time)
	@sh .make/packages build run test fuzz
	@$(MAKE) VARIANT=fuzz all
	@$(MAKE) VARIANT=fuzz UNITS="$(targets:%=%_fuzz)" units
	@ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 RUNS="$(RUNS)" sh .make/fuzz $(folder_fuzz) $(SECONDS) $(FUZZ)

faults: ## memory that is out at every allocation in turn, under AddressSanitizer
	@sh .make/packages build run test
	@$(MAKE) VARIANT=asan UNITS=faults_test units
	@FAULTS_STRIDE=$(STRIDE) ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 $(folder_asan)/spec/faults_test

soak: SECONDS := 600
soak: ## ten minutes of mixed load with faults: memory flat, nothing left (SECONDS=60)
	@sh .make/packages build run test
	@$(MAKE) all
	@python3 spec/soak/run.py --binary $(BUILD)/moonwire --seconds $(SECONDS)

reloads: ## a thousand reloads and two hundred that fail, under light load: nothing grows, nothing left
	@sh .make/packages build run test
	@$(MAKE) all
	@python3 spec/soak/reloads.py --binary $(BUILD)/moonwire

bench: ## measure against raw C and others (BENCH= holds arguments of spec/bench/run.py)
	@sh .make/packages build bench
	@$(MAKE) all
	@python3 spec/bench/run.py $(BENCH)

# --- Lint ---------------------------------------------------------------------------------------------------------

checks := layers functions lua gcc clang cppcheck
.PHONY: lint $(checks:%=lint-%)

lint: ## every static check: layers, lengths, luacheck, gcc, clang, clang-tidy, cppcheck
	@sh .make/packages build lint
	@failed=; for check in $(checks); do \
	  $(MAKE) -k lint-$$check || failed="$$failed $$check"; done; \
	if [ -n "$$failed" ]; then echo "lint: failed:$$failed"; exit 1; fi; echo "lint: clean"

lint-layers:
	$(call say,LINT,layers)sh .make/layers $(layer_rules)

lint-functions:
	$(call say,LINT,lengths)sh .make/functions

lint-lua:
	$(call say,LINT,lua)files=$$(find lua examples scripts spec config -name '*.lua' 2>/dev/null); \
	  [ -z "$$files" ] || luacheck -qq --no-color --formatter plain $$files

lint-gcc:
	@$(MAKE) VARIANT=gcc objects

lint-clang:
	@$(MAKE) VARIANT=clang objects tidy

lint-cppcheck:
	$(call say,LINT,cppcheck)mkdir -p $(BUILD)/cppcheck && cppcheck --quiet --std=c11 --language=c -D_GNU_SOURCE -Isrc \
	  --enable=warning,performance,portability --inline-suppr --suppress=readdirCalled --error-exitcode=1 --library=posix \
	  --cppcheck-build-dir=$(BUILD)/cppcheck -j$$(nproc) src

# One stamp a file; the object knows the headers.
tidy: $(patsubst src/%.c,$(out)/tidy/%.ok,$(sources))
	@:

$(out)/tidy/%.ok: src/%.c $(out)/obj/%.o .clang-tidy
	@mkdir -p $(@D)
	$(call say,TIDY,$<)clang-tidy --quiet --warnings-as-errors='*' $< -- $(standard) $(warnings) -Isrc $(lua_headers) \
	  >$(@:.ok=.log) 2>&1 || { sed 's,$(CURDIR)/,,; /^[0-9]* warnings* generated/d' $(@:.ok=.log); exit 1; }; touch $@

# --- Installing ---------------------------------------------------------------------------------------------------

.PHONY: install uninstall deb test-systemd clean help

install: all ## install under PREFIX (/usr/local), below DESTDIR if given
	@BUILD="$(BUILD)" PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" sh .make/install install

uninstall: ## remove what install puts there
	@BUILD="$(BUILD)" PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" sh .make/install uninstall

deb: ## pack build/deb/moonwire_VERSION_ARCHITECTURE.deb, the same bytes each time, and have lintian look at it
	@sh .make/packages build deb
	@$(MAKE) all
	@BUILD="$(BUILD)" sh .make/deb

test-systemd: ## boot a real systemd in a container and try the service and the package there (SCENARIOS="reload watchdog")
	@sh .make/packages build run deb systemd
	@$(MAKE) deb
	@python3 spec/systemd/run.py --deb "$(BUILD)/deb" $(SCENARIOS)

clean: ## remove everything that was built
	rm -rf $(BUILD)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

-include $(shell find $(out)/obj -name '*.d' 2>/dev/null)
