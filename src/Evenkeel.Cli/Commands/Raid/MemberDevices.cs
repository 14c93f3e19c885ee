using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Nbd;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Cli.Commands.Raid;

/// <summary>Members as the user names them: paths, or NBD URIs.</summary>
internal static class MemberDevices
{
    public static async Task<IMemberDevice> OpenAsync(string name, bool readOnly = false, NbdClientOptions? options = null, bool direct = false) =>
        IsUri(name) ? await NbdClient.ConnectAsync(name, options).ConfigureAwait(false) : FileDevice.Open(name, readOnly, direct);

    public static async Task<List<IMemberDevice>> OpenAllAsync(IEnumerable<string> names, bool readOnly = false, NbdClientOptions? options = null, bool direct = false)
    {
        var devices = new List<IMemberDevice>();
        try
        {
            foreach (var name in names) devices.Add(await OpenAsync(Full(name), readOnly, options, direct).ConfigureAwait(false));
            return devices;
        }
        catch
        {
            foreach (var device in devices) await device.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>A name that means the same in another process.</summary>
    public static string Full(string name) => IsUri(name) ? name : Path.GetFullPath(name);

    /// <summary>The device's superblock.</summary>
    /// <exception cref="MdFormatException">There is none that can be used.</exception>
    public static async Task<MdSuperblock> ReadSuperblockAsync(IMemberDevice device)
    {
        var bytes = new byte[MdSuperblockCodec.MaximumBytes];
        if (device.Length < MdSuperblockCodec.ByteOffset + bytes.Length) throw new MdFormatException($"{device.Name} is too small to be a member.");
        await device.ReadAsync(MdSuperblockCodec.ByteOffset, bytes).ConfigureAwait(false);
        try
        {
            return MdSuperblockCodec.Read(bytes);
        }
        catch (MdFormatException e)
        {
            throw new MdFormatException($"{device.Name}: {e.Message}");
        }
    }

    public static async Task RefuseUsedAsync(IEnumerable<IMemberDevice> devices)
    {
        var bytes = new byte[MdSuperblockCodec.MaximumBytes];
        foreach (var device in devices)
        {
            if (device.Length < MdSuperblockCodec.ByteOffset + bytes.Length) throw new ArgumentException($"{device.Name} is too small.");
            await device.ReadAsync(MdSuperblockCodec.ByteOffset, bytes).ConfigureAwait(false);
            if (MdSuperblockCodec.IsPresent(bytes))
                throw new CommandFailedException(ExitCode.Refused, $"{device.Name} is a member of an array already.", "See 'evenkeel raid examine'; --force takes it all the same.");
            if (!await FileDevice.IsBlankAsync(device).ConfigureAwait(false))
                throw new CommandFailedException(ExitCode.Refused, $"{device.Name} is not empty: it may hold a partition table, a file system or other data.", "'blkid -p' says what is there; --force overwrites it.");
        }
    }

    private static bool IsUri(string name) => name.StartsWith("nbd", StringComparison.Ordinal) && name.Contains("://", StringComparison.Ordinal);
}
