namespace Evenkeel.Raid.Nbd;

/// <summary>What a server offers under a name. Calls may overlap; offsets and lengths are whole sectors of 512 bytes within <see cref="Length"/>.</summary>
public interface INbdExport
{
    /// <summary>The name clients ask for; the empty name is the default export.</summary>
    string Name { get; }

    /// <summary>For people, in listings.</summary>
    string Description { get; }

    /// <summary>Size in bytes.</summary>
    long Length { get; }

    /// <summary>Whether writes are refused.</summary>
    bool IsReadOnly { get; }

    /// <summary>
    /// Whether one client's flush covers writes that any other client had acknowledged before, so that a client may use several
    /// connections at once.
    /// </summary>
    bool FlushCoversAllConnections { get; }

    /// <summary>Whether <see cref="TrimAsync"/> does something.</summary>
    bool CanTrim { get; }

    /// <summary>Fills the buffer.</summary>
    ValueTask ReadAsync(long offset, Memory<byte> buffer);

    /// <summary>Writes the buffer, which stays unchanged until the call returns.</summary>
    ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer);

    /// <summary>Makes a range read as zeros.</summary>
    /// <param name="offset">Where it begins.</param>
    /// <param name="length">Its bytes; may be more than memory holds.</param>
    /// <param name="mayPunch">Whether the range's room may be given back.</param>
    async ValueTask WriteZeroesAsync(long offset, long length, bool mayPunch)
    {
        while (length > 0)
        {
            var part = Devices.Zeros.Of(length);
            await WriteAsync(offset, part).ConfigureAwait(false);
            (offset, length) = (offset + part.Length, length - part.Length);
        }
    }

    /// <summary>Says what a range is made of, from its beginning on: at least one extent, not necessarily all, none of 0 bytes.</summary>
    ValueTask MapAsync(long offset, long length, List<NbdExtent> extents)
    {
        extents.Add(new NbdExtent(length, false));
        return default;
    }

    /// <summary>Makes completed writes durable.</summary>
    ValueTask FlushAsync();

    /// <summary>The content of a range no longer matters.</summary>
    ValueTask TrimAsync(long offset, long length);
}
