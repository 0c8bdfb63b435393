"""How long commands take: closed forms, published models, validated against others' figures (`commands` begins)."""
