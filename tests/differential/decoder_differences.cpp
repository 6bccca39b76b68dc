#include "decoder_differences.hpp"

namespace undercroft::differential {
namespace {

template <ZydisISAExt... extensions>
bool is_of(const ZydisAnswer& answer) {
  return ((answer.instruction.meta.isa_ext == extensions) || ...);
}

// All rows are about what Zydis accepts and the processor modelled does not have. CPUID must hide
// each of them from a guest (opcode_tables.hpp).
constexpr Difference table[] = {
    {"VEX, EVEX, XOP, MVEX and 3DNow encodings: in 32-bit code LES, LDS, BOUND and POP with mod 11",
     [](const ZydisAnswer& a) {
       return a.instruction.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY;
     }},
    {"FEMMS: 3DNow, AMD only", is_of<ZYDIS_ISA_EXT_AMD3DNOW>},
    {"SYSCALL, SYSRET: #UD outside 64-bit mode on Intel processors",
     [](const ZydisAnswer& a) {
       return a.instruction.mnemonic == ZYDIS_MNEMONIC_SYSCALL ||
              a.instruction.mnemonic == ZYDIS_MNEMONIC_SYSRET;
     }},
    {"hardware virtualization and enclaves: a guest of a monitor that needs neither has neither",
     is_of<ZYDIS_ISA_EXT_VTX, ZYDIS_ISA_EXT_SVM, ZYDIS_ISA_EXT_VMFUNC, ZYDIS_ISA_EXT_SMX,
           ZYDIS_ISA_EXT_SGX, ZYDIS_ISA_EXT_SGX_ENCLV, ZYDIS_ISA_EXT_TDX, ZYDIS_ISA_EXT_SNP,
           ZYDIS_ISA_EXT_AMD_INVLPGB, ZYDIS_ISA_EXT_PCONFIG>},
    {"cryptography and random numbers: later than SSE4.2",
     is_of<ZYDIS_ISA_EXT_AES, ZYDIS_ISA_EXT_KEYLOCKER, ZYDIS_ISA_EXT_KEYLOCKER_WIDE,
           ZYDIS_ISA_EXT_PCLMULQDQ, ZYDIS_ISA_EXT_SHA, ZYDIS_ISA_EXT_GFNI, ZYDIS_ISA_EXT_PADLOCK,
           ZYDIS_ISA_EXT_RDRAND, ZYDIS_ISA_EXT_RDSEED>},
    {"extended state and protection keys: CR4 has no bit to enable them",
     is_of<ZYDIS_ISA_EXT_XSAVE, ZYDIS_ISA_EXT_XSAVEC, ZYDIS_ISA_EXT_XSAVEOPT, ZYDIS_ISA_EXT_XSAVES,
           ZYDIS_ISA_EXT_PKU, ZYDIS_ISA_EXT_CET, ZYDIS_ISA_EXT_SMAP, ZYDIS_ISA_EXT_INVPCID>},
    {"transactions: XBEGIN, XABORT are MOV with reg 7",
     is_of<ZYDIS_ISA_EXT_RTM, ZYDIS_ISA_EXT_TSX_LDTRK>},
    {"user instructions later than SSE4.2, or of AMD",
     is_of<ZYDIS_ISA_EXT_ADOX_ADCX, ZYDIS_ISA_EXT_SSE4A, ZYDIS_ISA_EXT_MOVDIR, ZYDIS_ISA_EXT_ENQCMD,
           ZYDIS_ISA_EXT_CLFLUSHOPT, ZYDIS_ISA_EXT_CLWB, ZYDIS_ISA_EXT_CLZERO,
           ZYDIS_ISA_EXT_MONITORX, ZYDIS_ISA_EXT_WAITPKG, ZYDIS_ISA_EXT_SERIALIZE,
           ZYDIS_ISA_EXT_HRESET, ZYDIS_ISA_EXT_PT, ZYDIS_ISA_EXT_RDPID, ZYDIS_ISA_EXT_RDPRU,
           ZYDIS_ISA_EXT_MCOMMIT>},
};

}  // namespace

std::span<const Difference> differences() { return table; }

}  // namespace undercroft::differential
