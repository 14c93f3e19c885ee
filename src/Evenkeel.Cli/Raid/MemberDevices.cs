using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Nbd;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Cli.Raid;

/// <summary>Members as the user names them: paths, or NBD URIs.</summary>
internal static class MemberDevices
{
    public static async Task<List<IMemberDevice>> OpenAsync(IReadOnlyList<string> names, bool readOnly = false)
    {
        var devices = new List<IMemberDevice>();
        foreach (var name in names)
            devices.Add(name.StartsWith("nbd", StringComparison.Ordinal) && name.Contains("://", StringComparison.Ordinal)
                ? await NbdClient.ConnectAsync(name).ConfigureAwait(false)
                : FileDevice.Open(name, readOnly));
        return devices;
    }

    public static async Task RefuseUsedAsync(IEnumerable<IMemberDevice> devices)
    {
        var bytes = new byte[MdSuperblockCodec.MaximumBytes];
        foreach (var device in devices)
        {
            if (device.Length < MdSuperblockCodec.ByteOffset + bytes.Length) throw new ArgumentException($"{device.Name} is too small.");
            await device.ReadAsync(MdSuperblockCodec.ByteOffset, bytes).ConfigureAwait(false);
            if (MdSuperblockCodec.IsPresent(bytes))
                throw new CommandFailedException(ExitCode.Refused, $"{device.Name} is a member of an array already.", "See 'evenkeel raid status'; --force takes it all the same.");
        }
    }
}
