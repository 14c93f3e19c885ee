using System.Net.Sockets;
using System.Security.Cryptography;
using Evenkeel.Raid.Array;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Cli.Commands.Raid;

/// <summary>What a user, a device or a network can cause becomes a sentence and an exit code.</summary>
internal static class RaidGuard
{
    public static async Task<int> RunAsync(Func<Task<int>> run)
    {
        try
        {
            return await run().ConfigureAwait(false);
        }
        catch (Exception e) when (e is AssemblyRefusedException or ArrayBrokenException or ArrayNotReadyException)
        {
            throw new CommandFailedException(ExitCode.Refused, e.Message);
        }
        catch (Exception e) when (e is MdFormatException or ArgumentException or FormatException or SocketException or UnauthorizedAccessException or CryptographicException
            || e is IOException && !e.Message.Contains("Broken pipe", StringComparison.Ordinal))
        {
            throw new CommandFailedException(ExitCode.Failed, e.Message);
        }
    }
}
