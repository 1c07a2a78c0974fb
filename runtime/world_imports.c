#define _GNU_SOURCE
#include "world_imports.h"

#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "atomics.h"

#if defined(__x86_64__)
#define SLOT_OF_CALL R_X86_64_JUMP_SLOT
#define SLOT_OF_ADDRESS R_X86_64_GLOB_DAT
#elif defined(__aarch64__)
#define SLOT_OF_CALL R_AARCH64_JUMP_SLOT
#define SLOT_OF_ADDRESS R_AARCH64_GLOB_DAT
#else
#define SLOT_OF_CALL 0 /* none: nothing is redirected */
#define SLOT_OF_ADDRESS 0
#endif

struct table {
    struct weft__import *imports;
    size_t count;
};

/* One loaded object, as its dynamic section describes it. */
struct object {
    uintptr_t base;
    const ElfW(Sym) *symbols;
    const char *names;
    const ElfW(Rela) *relocations[2]; /* of data, of calls */
    size_t bytes[2];
    uintptr_t sealed, sealed_end;     /* what the loader has made read-only, in whole pages */
};

static uintptr_t page_of(uintptr_t address) { return address & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1); }

/* The loader makes addresses of offsets, but not in each object. */
static uintptr_t address_in(const struct object *self, const ElfW(Dyn) *entry) {
    return entry->d_un.d_ptr < self->base ? self->base + entry->d_un.d_ptr : entry->d_un.d_ptr;
}

static void read_dynamic(struct object *self, const ElfW(Dyn) *entry) {
    for (; entry->d_tag != DT_NULL; entry++) {
        switch (entry->d_tag) {
        case DT_SYMTAB: self->symbols = (const void *)address_in(self, entry); break;
        case DT_STRTAB: self->names = (const void *)address_in(self, entry); break;
        case DT_RELA: self->relocations[0] = (const void *)address_in(self, entry); break;
        case DT_RELASZ: self->bytes[0] = entry->d_un.d_val; break;
        case DT_JMPREL: self->relocations[1] = (const void *)address_in(self, entry); break;
        case DT_PLTRELSZ: self->bytes[1] = entry->d_un.d_val; break;
        }
    }
}

static struct object read_object(const struct dl_phdr_info *info) {
    struct object self = {.base = info->dlpi_addr};
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t begin = self.base + header->p_vaddr;
        if (header->p_type == PT_DYNAMIC) read_dynamic(&self, (const void *)begin);
        if (header->p_type != PT_GNU_RELRO) continue;
        self.sealed = page_of(begin);
        self.sealed_end = page_of(begin + header->p_memsz);
    }
    return self;
}

/* The slot's page is shared with nothing that is ever written, if it is sealed. */
static void set_slot(const struct object *self, _Atomic(void *) *slot, void *value) {
    uintptr_t address = (uintptr_t)slot, page = page_of(address);
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    bool sealed = address >= self->sealed && address < self->sealed_end;
    if (sealed && mprotect((void *)page, bytes, PROT_READ | PROT_WRITE) != 0) return;
    store_relaxed(slot, value); /* read by calls on any thread: the old one or the new one */
    if (sealed) mprotect((void *)page, bytes, PROT_READ);
}

static const struct weft__import *find(const struct table *table, const char *name) {
    for (size_t i = 0; i < table->count; i++)
        if (table->imports[i].real && strcmp(table->imports[i].name, name) == 0) return &table->imports[i];
    return NULL;
}

static void redirect_slot(const struct object *self, const struct table *table, const ElfW(Rela) *relocation) {
    unsigned long type = ELF64_R_TYPE(relocation->r_info);
    if (type == 0 || (type != SLOT_OF_CALL && type != SLOT_OF_ADDRESS)) return;
    const char *name = self->names + self->symbols[ELF64_R_SYM(relocation->r_info)].st_name;
    const struct weft__import *import = find(table, name);
    if (import) set_slot(self, (_Atomic(void *) *)(self->base + relocation->r_offset), import->instead);
}

/* They call what is theirs; and of vdso nothing can be changed. */
static bool is_left_alone(const char *path) {
    static const char *const parts[] = {"/libc.so", "/ld-linux", "linux-vdso", "/libasan", "/libtsan", "/libubsan"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(path, parts[i])) return true;
    return false;
}

static int redirect_object(struct dl_phdr_info *info, size_t bytes, void *table) {
    (void)bytes;
    if (is_left_alone(info->dlpi_name)) return 0;
    struct object self = read_object(info);
    if (!self.symbols || !self.names) return 0;
    for (int kind = 0; kind < 2; kind++)
        for (size_t i = 0; self.relocations[kind] && i < self.bytes[kind] / sizeof(ElfW(Rela)); i++)
            redirect_slot(&self, table, &self.relocations[kind][i]);
    return 0;
}

void weft__world_redirect(struct weft__import *imports, size_t count) {
    struct table table = {imports, count};
    for (size_t i = 0; i < count; i++) imports[i].real = dlsym(RTLD_DEFAULT, imports[i].name);
    dl_iterate_phdr(redirect_object, &table);
}
