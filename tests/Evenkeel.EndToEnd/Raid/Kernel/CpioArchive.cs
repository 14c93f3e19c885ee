using System.Globalization;
using System.Text;

namespace Evenkeel.EndToEnd.Raid.Kernel;

/// <summary>An initramfs: the 'newc' format of cpio (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).</summary>
internal sealed class CpioArchive
{
    private const int File = 0x8000, Directory = 0x4000, Link = 0xa000;
    private readonly List<byte> _bytes = [];
    private readonly HashSet<string> _directories = [];
    private int _inode;

    public void AddFile(string path, byte[] content) => Add(path, File | 0x1ed, content);

    public void AddLink(string path, string target) => Add(path, Link | 0x1ff, Encoding.UTF8.GetBytes(target));

    public byte[] ToArray()
    {
        List<byte> whole = [.. _bytes];
        Write(whole, "TRAILER!!!", 0, []);
        return [.. whole];
    }

    private void Add(string path, int mode, byte[] content)
    {
        path = path.TrimStart('/');
        for (var slash = path.IndexOf('/', StringComparison.Ordinal); slash > 0; slash = path.IndexOf('/', slash + 1))
            if (_directories.Add(path[..slash])) Write(_bytes, path[..slash], Directory | 0x1ed, []);
        Write(_bytes, path, mode, content);
    }

    private void Write(List<byte> to, string path, int mode, byte[] content)
    {
        var name = Encoding.UTF8.GetBytes(path + "\0");
        int[] fields = [++_inode, mode, 0, 0, 1, 0, content.Length, 0, 0, 0, 0, name.Length, 0];
        to.AddRange(Encoding.ASCII.GetBytes("070701" + string.Concat(fields.Select(field => field.ToString("x8", CultureInfo.InvariantCulture)))));
        to.AddRange(name);
        Pad(to);
        to.AddRange(content);
        Pad(to);
    }

    private static void Pad(List<byte> to)
    {
        while (to.Count % 4 != 0) to.Add(0);
    }
}
