using System.Text;

namespace Evenkeel.Services.PostgreSql;

/// <summary>Why a server ended, in its own words.</summary>
internal static class ServerLog
{
    private const int Tail = 8192;

    /// <summary>The last FATAL or PANIC near the end of the log, after a colon; empty when there is none.</summary>
    public static string LastComplaint(string? path)
    {
        try
        {
            if (path is null || !File.Exists(path))
            {
                return "";
            }

            using var log = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            log.Seek(-Math.Min(Tail, log.Length), SeekOrigin.End);
            var bytes = new byte[Tail];
            var count = log.ReadAtLeast(bytes, Tail, throwOnEndOfStream: false);
            var line = Encoding.UTF8.GetString(bytes, 0, count).Split('\n')
                .LastOrDefault(line => line.Contains("PANIC: ", StringComparison.Ordinal) || line.Contains("FATAL: ", StringComparison.Ordinal));
            return line is null ? "" : ": " + line[(line.IndexOf(": ", line.IndexOf("PANIC", StringComparison.Ordinal) is var panic and >= 0 ? panic : line.IndexOf("FATAL", StringComparison.Ordinal), StringComparison.Ordinal) + 2)..].Trim();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
