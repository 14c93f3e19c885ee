using System.Text;

namespace Evenkeel.EndToEnd.Raid.Kernel;

/// <summary>
/// Debian's kernel with its modules, taken out of the package that apt would install: it is downloaded and unpacked, never installed
/// (installing a kernel rewrites the boot loader's files), and kept for the next run.
/// </summary>
internal sealed class GuestKernel
{
    private readonly Dictionary<string, string> _modules;

    private GuestKernel(string directory)
    {
        Image = Directory.GetFiles(Path.Combine(directory, "boot"), "vmlinuz-*").Single();
        _modules = Directory.GetFiles(Path.Combine(directory, "lib/modules"), "*.ko", SearchOption.AllDirectories)
            .GroupBy(file => Name(Path.GetFileNameWithoutExtension(file))).ToDictionary(group => group.Key, group => group.First());
    }

    public string Image { get; }

    public static async Task<GuestKernel> FetchAsync()
    {
        var depends = await Tool.RunAsync("apt-cache", "depends", "linux-image-amd64");
        var package = depends.Split('\n').Select(line => line.Trim().Split(' ')[^1]).First(word => word.StartsWith("linux-image-", StringComparison.Ordinal) && word != "linux-image-amd64");
        var kept = Path.Combine(Path.GetTempPath(), "evenkeel-" + package);
        if (Directory.Exists(kept)) return new GuestKernel(kept);
        var work = Directory.CreateTempSubdirectory("evenkeel-kernel-").FullName;
        try
        {
            await Tool.RunAsync("sh", "-c", $"cd '{work}' && apt-get -q download {package} && dpkg-deb -x {package}_*.deb unpacked && rm *.deb");
            // Whole or not at all: a run that is interrupted leaves nothing that looks complete.
            if (!Directory.Exists(kept)) Directory.Move(Path.Combine(work, "unpacked"), kept);
            return new GuestKernel(kept);
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    /// <summary>The files of some modules and of all that they need, in the order in which they can be loaded.</summary>
    public IReadOnlyList<string> InLoadingOrder(params string[] wanted)
    {
        var order = new List<string>();
        foreach (var module in wanted) Visit(module, order);
        return order;
    }

    private void Visit(string module, List<string> order)
    {
        if (!_modules.TryGetValue(Name(module), out var file) || order.Contains(file)) return; // not a file: built in
        foreach (var needed in Depends(file)) Visit(needed, order);
        order.Add(file);
    }

    // A module names what it needs in its .modinfo section.
    private static string[] Depends(string file)
    {
        var bytes = File.ReadAllBytes(file);
        var at = bytes.AsSpan().IndexOf("\0depends="u8);
        if (at < 0) return [];
        var value = bytes.AsSpan(at + 9);
        return Encoding.ASCII.GetString(value[..value.IndexOf((byte)0)]).Split(',', StringSplitOptions.RemoveEmptyEntries);
    }

    private static string Name(string module) => module.Replace('-', '_');
}
